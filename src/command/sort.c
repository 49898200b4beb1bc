/* sort.c: SORT and SORT_RO: the elements of a collection, sorted by themselves or by what keys
 * whose names contain them hold.
 *
 *     load      the elements are copied: looking for other keys may remove some that have expired
 *     weigh     BY's keys are looked up, texts become numbers
 *     select    with LIMIT, those that come first are brought to the front, in linear time
 *     sort      what is asked for of them
 *     answer    GET's keys are looked up, one after another; STORE makes a list of them
 *
 * Elements that compare equal stay in the order in which they stood. */
#include "command/sort.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "base/number.h"
#include "command/command_handlers.h"
#include "command/list.h"
#include "engine/acl.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/server.h"
#include "value/hash.h"
#include "value/list.h"
#include <stdlib.h>

/* A name with a place for the element: before*behind, or before*behind->field. */
struct pattern {
    struct bytes before, behind, field; /* field.size 0: a string key */
    bool is_element;                    /* "#" */
    bool has_place;
};

struct sort {
    struct call *call;
    bool may_store;
    bool descending, alphabetic, as_it_stands;
    bool has_weights, of_set;
    bool too_large; /* something to be stored */
    struct pattern by;
    int64_t offset, limit; /* limit < 0: all */
    uint32_t get_count;
    uint32_t store; /* argument; 0: none */
    struct sort_elements all;
    size_t first, end;  /* of the elements, what is asked for */
    struct buffer name; /* of a key that is looked up */
    struct list result; /* of STORE */
};

/* ---- options ---- */

static struct pattern parse_pattern(struct bytes text) {
    struct pattern pattern = {.is_element = bytes_equal(text, BYTES("#"))};
    const char *end = text.data + text.size;
    const char *place = memchr(text.data, '*', text.size);
    if (!place) return pattern;
    pattern.has_place = true;
    pattern.before = bytes_make(text.data, (size_t)(place - text.data));
    pattern.behind = bytes_make(place + 1, (size_t)(end - place - 1));
    const char *arrow = memmem(pattern.behind.data, pattern.behind.size, "->", 2);
    if (!arrow || arrow + 2 == end) return pattern;
    pattern.field = bytes_make(arrow + 2, (size_t)(end - arrow - 2));
    pattern.behind.size = (size_t)(arrow - pattern.behind.data);
    return pattern;
}

/* BY and GET reach keys that the request does not name: only who may read all of them may do that.
 * False after an error. */
static bool may_look_up(struct call *call, const char *option) {
    if (acl_reads_any_key(call->session->user, call->command)) return true;
    call_error(call, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

/* Words that the option at `i` takes, with it; 0 after an error. */
static uint32_t parse_option(struct sort *sort, uint32_t i) {
    struct call *call = sort->call;
    uint32_t left = call->argc - i - 1;
    if (call_argument_is(call, i, "asc")) {
        sort->descending = false;
        return 1;
    }
    if (call_argument_is(call, i, "desc")) {
        sort->descending = true;
        return 1;
    }
    if (call_argument_is(call, i, "alpha")) {
        sort->alphabetic = true;
        return 1;
    }
    if (call_argument_is(call, i, "limit") && left >= 2)
        return call_parse_i64(call, i + 1, &sort->offset, NULL) &&
                       call_parse_i64(call, i + 2, &sort->limit, NULL)
                   ? 3
                   : 0;
    if (call_argument_is(call, i, "store") && left >= 1 && sort->may_store) {
        sort->store = i + 1;
        return 2;
    }
    if (call_argument_is(call, i, "by") && left >= 1) {
        sort->by = parse_pattern(call->argv[i + 1]);
        sort->has_weights = sort->by.has_place;
        if (!sort->has_weights) sort->as_it_stands = true;
        return sort->has_weights && !may_look_up(call, "BY") ? 0 : 2;
    }
    if (call_argument_is(call, i, "get") && left >= 1) {
        sort->get_count++;
        return may_look_up(call, "GET") ? 2 : 0;
    }
    call_error_syntax(call);
    return 0;
}

static bool parse_options(struct sort *sort) {
    sort->limit = -1;
    for (uint32_t i = 2, words; i < sort->call->argc; i += words) {
        words = parse_option(sort, i);
        if (words == 0) return false;
    }
    return true;
}

/* ---- other keys ---- */

/* What stands behind the name that the pattern makes of an element; data NULL: nothing. Valid until
 * the next one is looked up; digits are in `scratch`. */
static struct bytes look_up(struct sort *sort, const struct pattern *pattern, struct bytes element,
                            char scratch[NUMBER_I64_TEXT_MAX]) {
    static const struct bytes nothing = {NULL, 0};
    struct call *call = sort->call;
    if (!pattern->has_place) return pattern->is_element ? element : nothing;
    buffer_clear(&sort->name);
    buffer_append(&sort->name, pattern->before.data, pattern->before.size);
    buffer_append(&sort->name, element.data, element.size);
    buffer_append(&sort->name, pattern->behind.data, pattern->behind.size);
    struct key key = key_make(&call->server->keyspace, buffer_bytes(&sort->name));
    const struct entry *entry = call_read_key(call, call->database, &key);
    if (!entry) return nothing;
    if (pattern->field.size == 0)
        return entry_type(entry) == VALUE_STRING ? entry_string(entry, scratch) : nothing;
    if (entry_type(entry) != VALUE_HASH) return nothing;
    union object_room room;
    struct record record;
    struct item field = item_make(pattern->field);
    const struct object *object = entry_read_object(entry, &call->server->keyspace.world, &room);
    if (!hash_find((const struct hash *)object, &field, &record) || record.expiry <= call->now_ms)
        return nothing;
    return item_bytes(&record.value, scratch);
}

/* ---- weights ---- */

/* As a number, as strtod reads one up to the first zero byte: blanks in front, nothing is 0. */
static bool parse_score(struct bytes text, double *score) {
    const char *zero = memchr(text.data, 0, text.size);
    if (zero) text.size = (size_t)(zero - text.data);
    *score = 0;
    if (text.size == 0) return true;
    while (text.size > 0 && (*text.data == ' ' || (*text.data >= '\t' && *text.data <= '\r'))) {
        text.data++;
        text.size--;
    }
    return number_parse_double(text, score);
}

/* False: its weight is to be a number and is none. */
static bool weigh_one(struct sort *sort, struct sort_element *element) {
    char scratch[NUMBER_I64_TEXT_MAX];
    struct bytes text = sort_text(&sort->all, element);
    if (sort->has_weights) text = look_up(sort, &sort->by, text, scratch);
    if (!text.data) return true;
    if (sort->alphabetic) {
        element->weight = sort->all.texts.size;
        element->weight_size = text.size;
        buffer_append(&sort->all.texts, text.data, text.size);
        return true;
    }
    return parse_score(text, &element->score);
}

/* Each is looked up, also behind one that is no number: who listens hears of all keys that are
 * missing. False after an error. */
static bool weigh(struct sort *sort) {
    bool good = true;
    if (sort->as_it_stands || (sort->alphabetic && !sort->has_weights)) return true;
    for (size_t i = 0; i < sort->all.count; i++)
        good &= weigh_one(sort, &sort->all.elements[i]);
    if (!good) call_error(sort->call, "ERR One or more scores can't be converted into double");
    return good;
}

/* ---- order ---- */

static int compare_texts(const struct sort *sort, const struct sort_element *a,
                         const struct sort_element *b) {
    return bytes_compare(sort_text(&sort->all, a), sort_text(&sort->all, b));
}

/* None comes before any. */
static int compare_weights(const struct sort *sort, const struct sort_element *a,
                           const struct sort_element *b) {
    const char *texts = sort->all.texts.data;
    bool has_a = a->weight_size != SORT_NO_WEIGHT, has_b = b->weight_size != SORT_NO_WEIGHT;
    if (!has_a || !has_b) return has_a - has_b;
    return bytes_compare(bytes_make(texts + a->weight, a->weight_size),
                         bytes_make(texts + b->weight, b->weight_size));
}

static int compare(const void *first, const void *second, void *context) {
    const struct sort_element *a = first, *b = second;
    const struct sort *sort = context;
    int result;
    if (!sort->alphabetic)
        result = (a->score > b->score) - (a->score < b->score);
    else
        result = sort->has_weights ? compare_weights(sort, a, b) : 0;
    /* What is stored shall not depend on the order in which a set happens to be kept. */
    if (result == 0 && (!sort->alphabetic || !sort->has_weights || (sort->of_set && sort->store)))
        result = compare_texts(sort, a, b);
    if (result != 0) return sort->descending ? -result : result;
    return (a->text > b->text) - (a->text < b->text);
}

static void exchange(struct sort_element *a, struct sort_element *b) {
    struct sort_element kept = *a;
    *a = *b;
    *b = kept;
}

/* Bring the first `wanted` of the order to the front, in any order: Hoare's selection, in three
 * parts: before the pivot, equal to it, behind it. */
static void select_first(struct sort *sort, size_t wanted) {
    struct sort_element *elements = sort->all.elements;
    size_t low = 0, high = sort->all.count;
    while (wanted > low && wanted < high) {
        struct sort_element pivot = elements[low + call_random(sort->call) % (high - low)];
        size_t before = low, behind = high;
        for (size_t i = low; i < behind;) {
            int result = compare(&elements[i], &pivot, sort);
            if (result < 0)
                exchange(&elements[i++], &elements[before++]);
            else if (result > 0)
                exchange(&elements[i], &elements[--behind]);
            else
                i++;
        }
        if (wanted <= before)
            high = before;
        else
            low = behind;
    }
}

static void order(struct sort *sort) {
    if (sort->as_it_stands || sort->first == sort->end) return;
    select_first(sort, sort->end);
    qsort_r(sort->all.elements, sort->end, sizeof sort->all.elements[0], compare, sort);
}

/* ---- loading ---- */

/* What is asked for of `count` elements. */
static void cut(struct sort *sort, uint64_t count) {
    uint64_t first = sort->offset > 0 ? (uint64_t)sort->offset : 0;
    if (first > count) first = count;
    sort->first = first;
    sort->end = count;
    if (sort->limit >= 0 && (uint64_t)sort->limit < count - first)
        sort->end = first + (uint64_t)sort->limit;
}

static void load(struct sort *sort, const struct entry *entry) {
    union object_room room;
    const struct object *object =
        entry_read_object(entry, &sort->call->server->keyspace.world, &room);
    uint64_t count = object_count(object);
    struct sort_part part = {0, count, sort->as_it_stands && sort->descending};
    cut(sort, count);
    if (sort->as_it_stands) {
        part.first = sort->first;
        part.count = sort->end - sort->first;
        sort->end -= sort->first;
        sort->first = 0;
    }
    sort_load(&sort->all, object, &part);
}

/* ---- the answer ---- */

typedef void answer_element(struct sort *sort, struct bytes text);

static void answer_get(struct sort *sort, struct bytes text, answer_element *answer) {
    char scratch[NUMBER_I64_TEXT_MAX];
    for (uint32_t i = 2; i < sort->call->argc; i++) {
        if (call_argument_is(sort->call, i, "limit"))
            i += 2;
        else if (call_argument_is(sort->call, i, "by") || call_argument_is(sort->call, i, "store"))
            i++;
        else if (call_argument_is(sort->call, i, "get")) {
            struct pattern pattern = parse_pattern(sort->call->argv[++i]);
            answer(sort, look_up(sort, &pattern, text, scratch));
        }
    }
}

static void answer_all(struct sort *sort, answer_element *answer) {
    for (size_t i = sort->first; i < sort->end; i++) {
        struct bytes text = sort_text(&sort->all, &sort->all.elements[i]);
        if (sort->get_count > 0)
            answer_get(sort, text, answer);
        else
            answer(sort, text);
    }
}

static void answer_reply(struct sort *sort, struct bytes text) {
    if (text.data)
        reply_bulk(sort->call->reply, text);
    else
        reply_null(sort->call->reply);
}

static uint64_t answer_count(const struct sort *sort) {
    return (uint64_t)(sort->end - sort->first) * (sort->get_count > 0 ? sort->get_count : 1);
}

/* ---- STORE ---- */

static void store_element(struct sort *sort, struct bytes text) {
    struct list_limits limits = list_limits_of(sort->call);
    struct item item = item_make(text.data ? text : bytes_make("", 0));
    if (unlikely(item.size > LIST_ELEMENT_MAX))
        sort->too_large = true;
    else
        list_push(&sort->result, &limits, &item, false);
}

static void store(struct sort *sort) {
    struct call *call = sort->call;
    uint64_t count = answer_count(sort);
    struct key key = call_key(call, sort->store);
    object_init(&sort->result.object, VALUE_LIST, &call->server->keyspace.world);
    answer_all(sort, store_element);
    if (unlikely(sort->too_large)) {
        object_release(&sort->result.object);
        list_error_too_large(call);
        return;
    }
    struct spot spot = call_locate_key(call, call->database, &key);
    if (count > 0) {
        database_put_object(call->database, &key, &spot, &sort->result.object, ENTRY_NO_EXPIRY);
        call_changed(call, call->database, key.name, NOTIFY_LIST, "sortstore");
        call->changes += count - 1;
    } else if (spot.entry) {
        database_remove(call->database, &spot);
        call_changed(call, call->database, key.name, NOTIFY_GENERIC, "del");
    }
    reply_integer(call->reply, (int64_t)count);
}

/* ---- keys ---- */

/* SORT writes to the last STORE; the words behind the other options are no options. */
bool command_sort_keys(const struct command *command, const struct bytes *argv, size_t argc,
                       struct command_keys *keys) {
    (void)command;
    size_t store = 0;
    for (size_t i = 2; i < argc; i++) {
        if (bytes_is(argv[i], "limit"))
            i += 2;
        else if (bytes_is(argv[i], "by") || bytes_is(argv[i], "get"))
            i++;
        else if (bytes_is(argv[i], "store") && i + 1 < argc)
            store = ++i;
    }
    command_keys_add(keys, 1, COMMAND_KEY_RO | COMMAND_KEY_ACCESS);
    if (store > 0) command_keys_add(keys, store, COMMAND_KEY_OW | COMMAND_KEY_UPDATE);
    return true;
}

bool command_sort_ro_keys(const struct command *command, const struct bytes *argv, size_t argc,
                          struct command_keys *keys) {
    return command_keys_from_specs(command, argv, argc, keys);
}

/* ---- the commands ---- */

static void answer(struct sort *sort) {
    if (sort->store > 0) {
        store(sort);
    } else {
        reply_array(sort->call->reply, answer_count(sort));
        answer_all(sort, answer_reply);
    }
}

static void sort_entry(struct sort *sort, const struct entry *entry) {
    enum value_type type = entry_type(entry);
    if (type != VALUE_LIST && type != VALUE_SET && type != VALUE_SORTED_SET) {
        call_error_wrong_type(sort->call);
        return;
    }
    sort->of_set = type == VALUE_SET;
    if (sort->of_set && sort->as_it_stands && sort->store > 0) {
        sort->as_it_stands = sort->has_weights = false;
        sort->alphabetic = true;
    }
    load(sort, entry);
    if (!weigh(sort)) return;
    order(sort);
    answer(sort);
}

static void run(struct call *call, bool may_store) {
    struct sort sort = {.call = call, .may_store = may_store};
    if (!parse_options(&sort)) return;
    const struct entry *entry = call_read(call, 1);
    if (entry)
        sort_entry(&sort, entry);
    else
        answer(&sort);
    memory_free(sort.all.elements);
    buffer_release(&sort.all.texts);
    buffer_release(&sort.name);
}

void command_sort(struct call *call) {
    run(call, true);
}

void command_sort_ro(struct call *call) {
    run(call, false);
}
