/* geo.c: see geo.h. Geohashes are G. Niemeyer's; the haversine formula is R. W. Sinnott's
 * (Virtues of the Haversine, 1984). Owns nothing. */
#include "value/geo.h"

#include "base/invariant.h"
#include <math.h>

#define EARTH_RADIUS 6372797.560856 /* metres */
#define MAP_HALF     20037726.37    /* metres: half of the map's equator */
#define DEGREE       (M_PI / 180.0)
#define ROUNDING     1e-9 /* degrees, a tenth of a millimetre: bounds hold what rounds into a shape */

enum { STEP_MAX = 26 };

static inline double radians(double degrees) {
    return degrees * DEGREE;
}

/* ---- codes ---- */

/* The bits of a number at the even places. */
static uint64_t spread(uint64_t bits) {
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    return (bits | bits << 1) & 0x5555555555555555;
}

static uint32_t gather(uint64_t bits) {
    bits &= 0x5555555555555555;
    bits = (bits | bits >> 1) & 0x3333333333333333;
    bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
    bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(bits | bits >> 16);
}

static uint64_t code_of(uint32_t longitude, uint32_t latitude) {
    return spread(longitude) << 1 | spread(latitude);
}

/* Where it is between -max and max, in 2^step parts. */
static uint32_t part_of(double value, double max, unsigned step) {
    double share = (value + max) / (max + max);
    return (uint32_t)(share * (double)(UINT64_C(1) << step));
}

static double edge_of(double part, double max, unsigned step) {
    return -max + part / (double)(UINT64_C(1) << step) * (max + max);
}

bool geo_place_is_valid(const struct geo_place *place) {
    return fabs(place->longitude) <= GEO_LONGITUDE_MAX && fabs(place->latitude) <= GEO_LATITUDE_MAX;
}

uint64_t geo_encode(const struct geo_place *place) {
    return code_of(part_of(place->longitude, GEO_LONGITUDE_MAX, STEP_MAX),
                   part_of(place->latitude, GEO_LATITUDE_MAX, STEP_MAX));
}

/* Scores that no place has are taken modulo 2^64 where they fit, so that clients see what they
 * see elsewhere; NaN is no score. */
static uint64_t code_of_score(double score) {
    if (score >= 0x1p64) return 0;
    if (score >= 0) return (uint64_t)score;
    return score >= -0x1p63 ? (uint64_t)(int64_t)score : UINT64_C(1) << 63;
}

static double middle_of(uint32_t part, double max) {
    double low = edge_of(part, max, STEP_MAX), high = edge_of((double)part + 1, max, STEP_MAX);
    double middle = (low + high) / 2;
    return middle > max ? max : middle < -max ? -max : middle;
}

struct geo_place geo_decode(double score) {
    uint64_t code = code_of_score(score);
    return (struct geo_place){middle_of(gather(code >> 1), GEO_LONGITUDE_MAX),
                              middle_of(gather(code), GEO_LATITUDE_MAX)};
}

void geo_hash_text(const struct geo_place *place, char text[GEO_HASH_TEXT_SIZE]) {
    static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    enum { LETTER_BITS = 5, CODE_BITS = 2 * STEP_MAX };
    uint64_t code = code_of(part_of(place->longitude, GEO_LONGITUDE_MAX, STEP_MAX),
                            part_of(place->latitude, 90, STEP_MAX));
    for (unsigned i = 0; i < CODE_BITS / LETTER_BITS; i++)
        text[i] = letters[code >> (CODE_BITS - LETTER_BITS * (i + 1)) & 31];
    text[GEO_HASH_TEXT_SIZE - 1] = '0'; /* 2 bits are left, which do not make a letter */
}

/* ---- distances ---- */

static double distance_north(double from, double to) {
    return EARTH_RADIUS * fabs(radians(to) - radians(from));
}

/* `cosine`: of the latitude of `a`. */
static double distance_from(const struct geo_place *a, double cosine, const struct geo_place *b) {
    double longitude_a = radians(a->longitude), longitude_b = radians(b->longitude);
    double east = sin((longitude_b - longitude_a) / 2);
    if (east == 0.0) return distance_north(a->latitude, b->latitude);
    double latitude_a = radians(a->latitude), latitude_b = radians(b->latitude);
    double north = sin((latitude_b - latitude_a) / 2);
    double chord = north * north + cosine * cos(latitude_b) * east * east;
    return 2.0 * EARTH_RADIUS * asin(sqrt(chord));
}

double geo_distance(const struct geo_place *a, const struct geo_place *b) {
    return distance_from(a, cos(radians(a->latitude)), b);
}

/* ---- shapes ---- */

/* Degrees of longitude that a circle of the radius around the latitude reaches aside, exactly:
 * where meridians touch it. All of them when a pole is inside. */
static double aside_of_circle(double latitude, double radius) {
    double angle = radius / EARTH_RADIUS;
    if (angle >= M_PI / 2 - fabs(radians(latitude))) return 360;
    return asin(sin(angle) / cos(radians(latitude))) / DEGREE;
}

/* The same for a box, whose width is measured on each parallel: the one nearest to a pole counts.
 */
static double aside_of_box(double latitude, double width) {
    if (latitude >= 90 || width / (4 * EARTH_RADIUS) >= M_PI / 2) return 360;
    double share = sin(width / (4 * EARTH_RADIUS)) / cos(radians(latitude));
    return share >= 1 ? 360 : 2 * asin(share) / DEGREE;
}

static struct geo_bounds bounds_of(const struct geo_shape *shape) {
    double latitude = shape->middle.latitude, longitude = shape->middle.longitude;
    double up = (shape->is_box ? shape->height / 2 : shape->radius) / EARTH_RADIUS / DEGREE;
    double aside = shape->is_box ? aside_of_box(fmin(fabs(latitude) + up, 90), shape->width)
                                 : aside_of_circle(latitude, shape->radius);
    up += ROUNDING;
    aside += ROUNDING;
    return (struct geo_bounds){latitude + up, latitude - up, longitude + aside, longitude - aside};
}

void geo_shape_begin(struct geo_shape *shape) {
    shape->bounds = bounds_of(shape);
    shape->middle_cosine = cos(radians(shape->middle.latitude));
}

/* Most places that are looked at are outside of the bounds, which costs no sine. Bounds that go
 * round the globe's back say nothing about longitudes. */
static bool is_near(const struct geo_bounds *bounds, const struct geo_place *place) {
    bool round = bounds->west < -GEO_LONGITUDE_MAX || bounds->east > GEO_LONGITUDE_MAX;
    return place->latitude <= bounds->north && place->latitude >= bounds->south &&
           (round || (place->longitude <= bounds->east && place->longitude >= bounds->west));
}

bool geo_shape_contains(const struct geo_shape *shape, const struct geo_place *place,
                        double *distance) {
    if (!is_near(&shape->bounds, place)) return false;
    *distance = distance_from(&shape->middle, shape->middle_cosine, place);
    if (!shape->is_box) return *distance <= shape->radius;
    struct geo_place beside = {shape->middle.longitude, place->latitude};
    return distance_north(shape->middle.latitude, place->latitude) <= shape->height / 2 &&
           geo_distance(&beside, place) <= shape->width / 2;
}

/* ---- cells ---- */

struct cell {
    uint32_t longitude, latitude; /* parts of the step */
};

/* The block of 3 by 3 cells around one holds the bounds. A block that goes round the edge of the
 * map does not count as one that does: the next larger one is taken. */
static bool covers(const struct geo_bounds *bounds, struct cell cell, unsigned step) {
    uint32_t last = (UINT32_C(1) << step) - 1;
    if (cell.longitude == 0 || cell.longitude >= last || cell.latitude == 0 ||
        cell.latitude >= last)
        return false;
    return edge_of(cell.latitude + 2.0, GEO_LATITUDE_MAX, step) >= bounds->north &&
           edge_of(cell.latitude - 1.0, GEO_LATITUDE_MAX, step) <= bounds->south &&
           edge_of(cell.longitude + 2.0, GEO_LONGITUDE_MAX, step) >= bounds->east &&
           edge_of(cell.longitude - 1.0, GEO_LONGITUDE_MAX, step) <= bounds->west;
}

/* As far as that matters: where the map ends in the north and south, there is nothing; it goes on
 * round in the east and west. */
static bool reaches(const struct geo_bounds *bounds, struct cell cell, unsigned step) {
    uint32_t last = (UINT32_C(1) << step) - 1;
    return (cell.latitude >= last ||
            edge_of(cell.latitude + 2.0, GEO_LATITUDE_MAX, step) >= bounds->north) &&
           (cell.latitude == 0 ||
            edge_of(cell.latitude - 1.0, GEO_LATITUDE_MAX, step) <= bounds->south) &&
           edge_of(cell.longitude + 2.0, GEO_LONGITUDE_MAX, step) >= bounds->east &&
           edge_of(cell.longitude - 1.0, GEO_LONGITUDE_MAX, step) <= bounds->west;
}

/* A place on the eastern or northern edge itself is in a cell of its own beyond the last one. */
static struct cell cell_of(const struct geo_place *place, unsigned step) {
    return (struct cell){part_of(place->longitude, GEO_LONGITUDE_MAX, step),
                         part_of(place->latitude, GEO_LATITUDE_MAX, step)};
}

/* Going on round the edge of the map. */
static uint32_t moved(uint32_t part, int by, unsigned step) {
    return by == 0 ? part : (part + (uint32_t)by) & ((UINT32_C(1) << step) - 1);
}

/* The smallest cells that are wider at the equator than twice the reach; near the poles, where
 * they are narrower, larger ones. */
static unsigned step_for(const struct geo_shape *shape, double reach) {
    int step = STEP_MAX;
    double latitude = fabs(shape->middle.latitude);
    if (reach > 0) {
        step = -1;
        for (double size = reach; size < MAP_HALF && step < STEP_MAX + 2; size *= 2)
            step++;
        step -= (latitude > 66) + (latitude > 80);
    }
    if (step > STEP_MAX) step = STEP_MAX;
    return step < 1 ? 1 : (unsigned)step;
}

static double reach_of(const struct geo_shape *shape) {
    return shape->is_box ? hypot(shape->width / 2, shape->height / 2) : shape->radius;
}

/* A neighbour that lies wholly on the other side of the bounds' edge needs no look. */
static bool is_outside(const struct geo_bounds *bounds, struct cell cell, int east, int north,
                       unsigned step) {
    return (north > 0 && edge_of(cell.latitude + 1.0, GEO_LATITUDE_MAX, step) > bounds->north) ||
           (north < 0 && edge_of(cell.latitude, GEO_LATITUDE_MAX, step) < bounds->south) ||
           (east > 0 && edge_of(cell.longitude + 1.0, GEO_LONGITUDE_MAX, step) > bounds->east) ||
           (east < 0 && edge_of(cell.longitude, GEO_LONGITUDE_MAX, step) < bounds->west);
}

static bool add_range(struct geo_range *ranges, size_t count, struct cell cell, unsigned step) {
    unsigned shift = 2 * (STEP_MAX - step);
    uint64_t code = code_of(cell.longitude, cell.latitude);
    for (size_t i = 0; i < count; i++)
        if (ranges[i].min == code << shift) return false;
    ranges[count] = (struct geo_range){code << shift, (code + 1) << shift};
    return true;
}

size_t geo_shape_ranges(const struct geo_shape *shape, struct geo_range ranges[GEO_RANGES_MAX]) {
    static const struct {
        int8_t east, north;
    } around[GEO_RANGES_MAX] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                                {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    const struct geo_bounds *bounds = &shape->bounds;
    unsigned step = step_for(shape, reach_of(shape));
    if (step > 1 && !covers(bounds, cell_of(&shape->middle, step), step)) step--;
    while (step > 1 && !reaches(bounds, cell_of(&shape->middle, step), step))
        step--;
    struct cell cell = cell_of(&shape->middle, step);
    size_t count = 0;
    for (size_t i = 0; i < GEO_RANGES_MAX; i++) {
        if (step > 1 && is_outside(bounds, cell, around[i].east, around[i].north, step)) continue;
        struct cell near = {moved(cell.longitude, around[i].east, step),
                            moved(cell.latitude, around[i].north, step)};
        count += add_range(ranges, count, near, step);
    }
    INVARIANT(count > 0);
    return count;
}
