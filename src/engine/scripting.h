/* scripting.h: what the engine knows of scripts: src/script is above it, and says here how it is to
 * be reached. All zero while no host is attached. */
#ifndef REDSTART_ENGINE_SCRIPTING_H
#define REDSTART_ENGINE_SCRIPTING_H

#include "base/buffer.h"

struct call;
struct script_host;

struct scripting_report {
    size_t eval_bytes, function_bytes; /* of the Lua states */
    size_t cache_bytes;                /* texts of scripts */
    size_t library_bytes;              /* texts of libraries of functions */
    uint64_t scripts, scripts_evicted, libraries, functions;
};

struct scripting {
    struct script_host *host;
    bool busy; /* a script has been running for too long: others are told so */
    void (*measure)(const struct script_host *host, struct scripting_report *report);
    void (*close)(struct script_host *host);
    /* Libraries of functions: all of them as RDB files have them, appended; one of a file, false
     * when it cannot be (the log says why); none any more. */
    void (*encode_libraries)(struct script_host *host, bool compresses, struct buffer *out);
    bool (*load_library)(struct script_host *host, struct bytes text);
    void (*flush_libraries)(struct script_host *host);
    /* Is this an EVAL, EVALSHA or FCALL whose script or function says of itself that it writes
     * nothing? */
    bool (*only_reads)(struct script_host *host, const struct call *call);
};

#endif
