/* geo.h: places on the globe as numbers, so that a sorted set is an index of them.
 *
 *     longitude  26 bits   o o o ...     from -180 to 180
 *     latitude   26 bits    a a a ...    from -85.05112878 to 85.05112878
 *     code       52 bits   oaoaoa...     a double holds it exactly: it is the score
 *
 * A cell of a step (1 to 26) is all places that share the first 2 * step bits: a square of the map,
 * and a range of scores. A search looks through the cell of its middle and the eight around it, at
 * the step that makes them just cover the shape. Knows no sets. */
#ifndef REDSTART_VALUE_GEO_H
#define REDSTART_VALUE_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878

struct geo_place {
    double longitude, latitude; /* degrees */
};

bool geo_place_is_valid(const struct geo_place *place);
/* 52 bits; a place on the eastern or northern edge itself has more. The place is valid. */
uint64_t geo_encode(const struct geo_place *place);
/* The middle of the smallest cell; any score is some place. */
struct geo_place geo_decode(double score);
/* Metres on a sphere (haversine). */
double geo_distance(const struct geo_place *a, const struct geo_place *b);

/* The geohash as the world writes it, for latitudes to 90 degrees. */
enum { GEO_HASH_TEXT_SIZE = 11 };
void geo_hash_text(const struct geo_place *place, char text[GEO_HASH_TEXT_SIZE]);

/* ---- shapes ---- */

/* A box of latitudes and longitudes, in degrees; it may go on beyond the map's edges. */
struct geo_bounds {
    double north, south, east, west;
};

struct geo_shape {
    struct geo_place middle;
    bool is_box;
    double radius;        /* metres; of a circle */
    double width, height; /* metres; of a box */
    /* Made by geo_shape_begin, which is called when all of the above is known. */
    struct geo_bounds bounds;
    double middle_cosine; /* of its latitude */
};
void geo_shape_begin(struct geo_shape *shape);
/* Whether it has the place, and how far that is from its middle. */
bool geo_shape_contains(const struct geo_shape *shape, const struct geo_place *place,
                        double *distance);

/* Scores from `min`, and below `end`. */
struct geo_range {
    uint64_t min, end;
};
enum { GEO_RANGES_MAX = 9 };
/* Ranges, none twice, with all places of the shape: the middle's first, then north, south, east,
 * west, and the corners. Returns how many. */
size_t geo_shape_ranges(const struct geo_shape *shape, struct geo_range ranges[GEO_RANGES_MAX]);

#endif
