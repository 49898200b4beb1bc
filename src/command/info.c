/* info.c: INFO. What it says is in engine/report.h. */
#include "command/command_handlers.h"

#include "engine/call.h"
#include "engine/report.h"
#include "engine/server.h"

/* Words that name no section are ignored. */
void command_info(struct call *call) {
    struct buffer text = {.size = 0};
    uint32_t sections = call->argc == 1 ? REPORT_DEFAULT : 0;
    for (uint32_t i = 1; i < call->argc; i++)
        sections |= report_sections(call->argv[i]);
    if (sections & REPORT_COUNTED) key_sizes_prepare(call->server);
    server_note_memory(call->server);
    report_append(call->server, sections, &text);
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}
