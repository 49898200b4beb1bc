/* spikes.h: moments at which something made everybody wait, by the kind of what it was: what
 * LATENCY shows. At most one a second and kind is kept, the worst one.
 *
 *     "command"        samples: |12:00:01 120 ms|12:00:07 15 ms|...|   a ring of 160
 *     "expire-cycle"   samples: ...                                                    */
#ifndef REDSTART_ENGINE_SPIKES_H
#define REDSTART_ENGINE_SPIKES_H

#include "base/buffer.h"

enum { SPIKES_KINDS_MAX = 32, SPIKES_SAMPLES = 160 };

struct spike {
    int64_t time_s; /* since 1970; 0: there is none */
    uint32_t took_ms;
};

struct spike_kind {
    const char *name;
    uint32_t worst_ms; /* since the last reset */
    uint32_t next;     /* where the next sample goes; the oldest one, once the ring is full */
    struct spike samples[SPIKES_SAMPLES];
};

struct spikes {
    struct spike_kind *kinds[SPIKES_KINDS_MAX]; /* of which there was one */
    uint32_t count;
};

/* The name lives for ever. Kinds beyond the bound are not kept. */
void spikes_add(struct spikes *spikes, const char *name, int64_t now_s, uint32_t took_ms);
/* NULL: there was none of this name. */
const struct spike_kind *spikes_find(const struct spikes *spikes, struct bytes name);
/* False: there was none of this name. */
bool spikes_remove(struct spikes *spikes, struct bytes name);
uint32_t spikes_clear(struct spikes *spikes); /* how many kinds there were */
/* Its samples, the oldest first; how many. */
uint32_t spikes_list(const struct spike_kind *kind, struct spike out[SPIKES_SAMPLES]);
/* A picture of them, 4 lines high, with their ages below. */
void spikes_draw(const struct spike_kind *kind, int64_t now_s, struct buffer *out);

#endif
