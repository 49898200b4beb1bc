/* table_view.c: how far the readers of views have come, and what they need no more.
 *
 *     a table's range of hashes   |========== passed ==========|------- not yet -------|
 *     a writer changes               in place: no copy            a copy; the old segment waits in
 *                                                                 the lane of its end:
 *     lanes of the view, 256      |  freed  |  freed  |  freed |   3 waiting  |   1   |  ...
 *
 * With each segment that comes to wait, a few are freed whose lanes have been passed: so much less
 * is held than the view's whole range, and no step takes long. What waits stays in the limbo too
 * (epoch.h), which has it freed with the view at the latest.
 *
 * A segment that two views see waits for their end: for that there is no lane.
 *
 * Must never write what a reader may still read: the reader publishes how far it is when it is
 * through with what lies before (release), and only that is looked at here (acquire). */
#include "base/memory.h"
#include "struct/table_node.h"

enum {
    LANE_BITS = 8,
    LANES = 1 << LANE_BITS,
    LANE_SHIFT = TABLE_CURSOR_BITS - LANE_BITS,
    LANE_FIRST = 4,         /* records, at first */
    RELEASED_AT_A_TIME = 4, /* for one that comes */
};

_Static_assert(TABLE_VIEW_END == TABLE_CURSOR_END, "the cursor behind the last element");

struct lane {
    struct epoch_limbo_record **records;
    uint32_t count, capacity;
};

struct table_view_lanes {
    uint32_t released; /* lanes before are empty */
    struct lane lane[LANES];
};

void table_freeze(struct table *table, struct table_view *view) {
    *view = (struct table_view){.root = table->root,
                                .count = table->count,
                                .epoch = table->epochs->frozen,
                                .table = table,
                                .next = table->views};
    table->views = view;
}

static void release_lanes(struct table_view *view) {
    if (!view->lanes) return;
    for (uint32_t i = view->lanes->released; i < LANES; i++)
        memory_free(view->lanes->lane[i].records);
    memory_free(view->lanes);
}

void table_thaw(struct table_view *view) {
    struct table_view **link = &view->table->views;
    while (*link != view)
        link = &(*link)->next;
    *link = view->next;
    release_lanes(view);
}

void table_view_pass(struct table_view *view, uint64_t cursor) {
    INVARIANT(cursor >= view->passed && cursor <= TABLE_VIEW_END);
    __atomic_store_n(&view->passed, cursor, __ATOMIC_RELEASE);
}

static uint64_t passed_by(const struct table_view *view) {
    return __atomic_load_n(&view->passed, __ATOMIC_ACQUIRE);
}

static uint64_t segment_end(const struct table_segment *segment) {
    return cursor_start(cursor_of_hash(segment->hash), segment->depth) +
           cursor_width(segment->depth);
}

bool views_have_passed(const struct table *table, const struct table_segment *segment,
                       uint32_t epoch) {
    uint64_t end = segment_end(segment);
    for (const struct table_view *view = table->views; view; view = view->next)
        if (view->epoch >= epoch && passed_by(view) < end) return false;
    return true;
}

/* The view that alone sees what was born then; NULL: there are more. */
static struct table_view *only_view(const struct table *table, uint32_t born) {
    struct table_view *only = NULL;
    for (struct table_view *view = table->views; view; view = view->next) {
        if (view->epoch < born) continue;
        if (only) return NULL;
        only = view;
    }
    return only;
}

static void lane_add(struct lane *lane, struct epoch_limbo_record *record) {
    if (lane->count == lane->capacity) {
        lane->capacity = lane->capacity ? lane->capacity * 2 : LANE_FIRST;
        lane->records = memory_resize(lane->records, lane->capacity * sizeof *lane->records);
    }
    lane->records[lane->count++] = record;
}

static void release_some(struct table *table, struct table_view *view) {
    struct table_view_lanes *lanes = view->lanes;
    uint64_t passed = passed_by(view);
    uint32_t budget = RELEASED_AT_A_TIME;
    while (lanes->released < LANES && ((uint64_t)lanes->released + 1) << LANE_SHIFT <= passed) {
        struct lane *lane = &lanes->lane[lanes->released];
        while (lane->count > 0) {
            if (budget-- == 0) return;
            segment_free(table->owner->pool,
                         epochs_take_back(table->epochs, lane->records[--lane->count]));
        }
        memory_free(lane->records);
        lanes->released++;
    }
}

void views_release_passed(struct table *table, const struct table_segment *segment,
                          struct epoch_limbo_record *record) {
    struct table_view *view = only_view(table, segment->born);
    if (!view || !record) return;
    if (!view->lanes) view->lanes = memory_alloc_zeroed(1, sizeof *view->lanes);
    uint32_t lane = (uint32_t)((segment_end(segment) - 1) >> LANE_SHIFT);
    INVARIANT(lane >= view->lanes->released); /* else it was passed, and is not retired */
    lane_add(&view->lanes->lane[lane], record);
    release_some(table, view);
}
