/* version.h: who we are. The only place where versions stand; meson.build's is checked against it.
 */
#ifndef REDSTART_ENGINE_VERSION_H
#define REDSTART_ENGINE_VERSION_H

#define REDSTART_VERSION "0.1.0"
#define REDIS_VERSION    "7.4.0" /* whose behaviour we have, as redis_version says */

#endif
