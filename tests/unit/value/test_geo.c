/* test_geo.c: codes there and back, geohashes and distances that are known, and what the ranges of
 * a shape leave out, against looking at every place. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "value/geo.h"
#include <math.h>
#include <string.h>

static double between(struct random *random, double min, double max) {
    return min + (max - min) * (double)(random_next(random) >> 11) / 0x1p53;
}

static struct geo_place any_place(struct random *random, double latitude_max) {
    return (struct geo_place){between(random, -180, 180),
                              between(random, -latitude_max, latitude_max)};
}

static void test_known(void **state) {
    (void)state;
    char text[GEO_HASH_TEXT_SIZE];
    struct geo_place palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};
    assert_int_equal(geo_encode(&palermo), 3479099956230698);
    assert_int_equal(geo_encode(&catania), 3479447370796909);
    palermo = geo_decode(3479099956230698);
    catania = geo_decode(3479447370796909);
    assert_true(fabs(geo_distance(&palermo, &catania) - 166274.1516) < 0.0001);
    assert_true(geo_distance(&palermo, &palermo) == 0);
    geo_hash_text(&palermo, text);
    assert_memory_equal(text, "sqc8b49rny0", sizeof text);
}

static void test_edges(void **state) {
    (void)state;
    struct geo_place place = {180, GEO_LATITUDE_MAX};
    assert_true(geo_place_is_valid(&place));
    assert_int_equal(geo_encode(&place), UINT64_C(3) << 52);
    place = (struct geo_place){-180, -GEO_LATITUDE_MAX};
    assert_int_equal(geo_encode(&place), 0);
    place.latitude = nextafter(place.latitude, -90);
    assert_false(geo_place_is_valid(&place));
    place = (struct geo_place){NAN, 0};
    assert_false(geo_place_is_valid(&place));
    static const double scores[] = {-1,     -0.5,   1.5,     -1e300,  1e300,
                                    0x1p63, 0x1p64, -0x1p63, INFINITY};
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        place = geo_decode(scores[i]);
        assert_true(geo_place_is_valid(&place));
    }
}

static void test_there_and_back(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 100000; round++) {
        struct geo_place place = any_place(&random, GEO_LATITUDE_MAX);
        uint64_t code = geo_encode(&place);
        assert_true(code < UINT64_C(1) << 52);
        struct geo_place back = geo_decode((double)code);
        assert_int_equal(geo_encode(&back), code);
        assert_true(fabs(back.longitude - place.longitude) <= 180.0 / (1 << 26));
        assert_true(fabs(back.latitude - place.latitude) <= GEO_LATITUDE_MAX / (1 << 26));
    }
}

/* ---- shapes ---- */

static struct geo_shape any_shape(struct random *random, double latitude_max) {
    struct geo_shape shape = {.middle = any_place(random, latitude_max)};
    double size = exp(between(random, log(1), log(2.5e7)));
    shape.is_box = random_below(random, 2);
    shape.radius = random_below(random, 50) == 0 ? 0 : size;
    shape.width = size * between(random, 0, 2);
    shape.height = size * between(random, 0, 2);
    geo_shape_begin(&shape);
    return shape;
}

/* A place that is perhaps inside: near the middle, as near as the shape is large. */
static struct geo_place place_near(struct random *random, const struct geo_shape *shape) {
    double size = shape->is_box ? fmax(shape->width, shape->height) : shape->radius;
    double up = size / 111000, cosine = cos(shape->middle.latitude * M_PI / 180);
    struct geo_place place = shape->middle;
    place.latitude += between(random, -up, up);
    place.longitude = remainder(place.longitude + between(random, -up, up) / cosine, 360);
    place.latitude = fmax(-85, fmin(85, place.latitude));
    return place;
}

static bool contains_naively(const struct geo_shape *shape, const struct geo_place *place) {
    if (!shape->is_box) return geo_distance(&shape->middle, place) <= shape->radius;
    struct geo_place beside = {shape->middle.longitude, place->latitude};
    struct geo_place above = {shape->middle.longitude, place->latitude};
    return geo_distance(&beside, place) <= shape->width / 2 &&
           geo_distance(&shape->middle, &above) <= shape->height / 2;
}

static bool is_in_ranges(const struct geo_range *ranges, size_t count, uint64_t code) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += code >= ranges[i].min && code < ranges[i].end;
    assert_true(found <= 1);
    return found == 1;
}

static void test_nothing_is_left_out(void **state) {
    (void)state;
    struct random random = random_from_seed();
    unsigned inside = 0;
    for (int round = 0; round < 20000; round++) {
        struct geo_shape shape = any_shape(&random, 84.9);
        struct geo_range ranges[GEO_RANGES_MAX];
        size_t count = geo_shape_ranges(&shape, ranges);
        assert_true(count >= 1 && count <= GEO_RANGES_MAX);
        for (int i = 0; i < 20; i++) {
            struct geo_place place =
                i < 15 ? place_near(&random, &shape) : any_place(&random, GEO_LATITUDE_MAX);
            uint64_t code = geo_encode(&place);
            double distance;
            place = geo_decode((double)code);
            bool expected = contains_naively(&shape, &place);
            assert_int_equal(geo_shape_contains(&shape, &place, &distance), expected);
            if (!expected) continue;
            inside++;
            assert_true(distance == geo_distance(&shape.middle, &place));
            assert_true(is_in_ranges(ranges, count, code));
        }
    }
    assert_true(inside > 50000);
}

/* A member finds itself, also on the edge, where codes have more than 53 bits. */
static void test_found_from_itself(void **state) {
    (void)state;
    struct random random = random_from_seed();
    for (int round = 0; round < 20000; round++) {
        struct geo_place place = any_place(&random, GEO_LATITUDE_MAX);
        if (random_below(&random, 4) == 0) place.longitude = 180;
        if (random_below(&random, 4) == 0) place.latitude = GEO_LATITUDE_MAX;
        double score = (double)geo_encode(&place);
        struct geo_shape shape = {.middle = geo_decode(score)};
        struct geo_range ranges[GEO_RANGES_MAX];
        geo_shape_begin(&shape);
        size_t count = geo_shape_ranges(&shape, ranges);
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found |= score >= (double)ranges[i].min && score <= (double)ranges[i].end;
        assert_true(found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nothing_is_left_out),
        cmocka_unit_test(test_found_from_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
