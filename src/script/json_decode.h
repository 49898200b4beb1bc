/* json_decode.h: cjson.decode, for json_library.c. */
#ifndef REDSTART_SCRIPT_JSON_DECODE_H
#define REDSTART_SCRIPT_JSON_DECODE_H

#include <lua.h>

/* A text to a value, as script_vm.json says. */
int script_json_decode(lua_State *lua);

#endif
