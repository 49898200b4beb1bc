/* geo.h: what the commands on places have in common. */
#ifndef REDSTART_COMMAND_GEO_H
#define REDSTART_COMMAND_GEO_H

#include "command/sorted_set.h"
#include "value/geo.h"

/* Longitude and latitude at `index`: false after an error reply. */
bool geo_parse_place(struct call *call, uint32_t index, struct geo_place *place);
/* Metres of M, KM, FT or MI: false after an error reply. */
bool geo_parse_unit(struct call *call, uint32_t index, double *metres);
/* False: it is no member. */
bool geo_find(const struct sorted_set *set, struct bytes member, struct geo_place *place);

void geo_reply_distance(struct reply *reply, double distance); /* four digits behind the point */
void geo_reply_place(struct reply *reply, const struct geo_place *place);

#endif
