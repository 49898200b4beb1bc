/* dataset.c: commands that make what a view shows. Owns the text that is not written yet. */
#include "journal/dataset.h"

#include "base/invariant.h"
#include "journal/annotation.h"
#include "rdb/input.h"
#include "rdb/value.h"
#include "value/stream_group.h"

struct dataset {
    const struct rdb_writer_options *options;
    struct rdb_output out;
    struct buffer words; /* of the command that is being made, each with its size */
    uint64_t word_count;
    uint64_t element_count;
    const char *name; /* of the command whose elements gather */
    struct bytes key;
    uint64_t keys; /* since they were last told */
};

/* ---- commands ---- */

static void put_size(struct buffer *out, char kind, uint64_t size) {
    char digits[NUMBER_I64_TEXT_MAX];
    buffer_append_byte(out, kind);
    buffer_append(out, digits, number_format_u64(digits, size));
    buffer_append(out, "\r\n", 2);
}

static void add(struct dataset *dataset, struct bytes word) {
    put_size(&dataset->words, '$', word.size);
    buffer_append(&dataset->words, word.data, word.size);
    buffer_append(&dataset->words, "\r\n", 2);
    dataset->word_count++;
}

static void add_text(struct dataset *dataset, const char *text) {
    add(dataset, bytes_from_text(text));
}

static void add_item(struct dataset *dataset, const struct item *item) {
    char scratch[ITEM_TEXT_MAX];
    add(dataset, item_bytes(item, scratch));
}

static void add_i64(struct dataset *dataset, int64_t number) {
    struct item item = item_integer(number);
    add_item(dataset, &item);
}

static void add_u64(struct dataset *dataset, uint64_t number) {
    char digits[NUMBER_I64_TEXT_MAX];
    add(dataset, bytes_make(digits, number_format_u64(digits, number)));
}

static void add_id(struct dataset *dataset, const struct stream_id *id) {
    char text[STREAM_ID_TEXT_MAX];
    add(dataset, bytes_make(text, stream_id_format(text, id)));
}

static void end(struct dataset *dataset) {
    struct buffer *out = &dataset->out.buffer;
    put_size(out, '*', dataset->word_count);
    buffer_append(out, dataset->words.data, dataset->words.size);
    buffer_clear(&dataset->words);
    dataset->word_count = 0;
    rdb_output_step(&dataset->out);
}

static void begin(struct dataset *dataset, const char *name) {
    add_text(dataset, name);
    add(dataset, dataset->key);
}

/* Another element of a command that takes many; its words follow. */
static void begin_element(struct dataset *dataset) {
    if (dataset->element_count == DATASET_ELEMENTS_MAX) {
        end(dataset);
        dataset->element_count = 0;
    }
    if (dataset->element_count++ == 0) begin(dataset, dataset->name);
}

static void begin_elements(struct dataset *dataset, const char *name) {
    dataset->name = name;
    dataset->element_count = 0;
}

static void end_elements(struct dataset *dataset) {
    if (dataset->element_count > 0) end(dataset);
    dataset->element_count = 0;
}

/* ---- values ---- */

static void put_string(struct dataset *dataset, const struct entry *entry) {
    char scratch[NUMBER_I64_TEXT_MAX];
    begin(dataset, "SET");
    if (entry_encoding(entry) == ENTRY_INTEGER)
        add_i64(dataset, entry_integer(entry));
    else
        add(dataset, entry_string(entry, scratch));
    end(dataset);
}

static void put_list(struct dataset *dataset, const struct list *list) {
    struct list_cursor cursor;
    struct item item;
    begin_elements(dataset, "RPUSH");
    list_seek(list, 0, false, &cursor);
    while (list_take(&cursor, &item)) {
        begin_element(dataset);
        add_item(dataset, &item);
    }
    end_elements(dataset);
}

static void put_member(void *context, const struct item *member) {
    struct dataset *dataset = context;
    begin_element(dataset);
    add_item(dataset, member);
}

static void put_set(struct dataset *dataset, const struct set *set) {
    uint64_t cursor = 0;
    begin_elements(dataset, "SADD");
    do
        cursor = set_scan(set, cursor, put_member, dataset);
    while (cursor != 0);
    end_elements(dataset);
}

static void put_field(void *context, const struct record *record) {
    struct dataset *dataset = context;
    begin_element(dataset);
    add_item(dataset, &record->key);
    add_item(dataset, &record->value);
}

static void put_field_time(void *context, const struct record *record) {
    struct dataset *dataset = context;
    if (record->expiry == RECORD_NO_EXPIRY) return;
    begin(dataset, "HPEXPIREAT");
    add_i64(dataset, record->expiry);
    add_text(dataset, "FIELDS");
    add_text(dataset, "1");
    add_item(dataset, &record->key);
    end(dataset);
}

static void scan_hash(struct dataset *dataset, const struct hash *hash, record_visit *visit) {
    uint64_t cursor = 0;
    do
        cursor = hash_scan(hash, cursor, visit, dataset);
    while (cursor != 0);
}

static void put_hash(struct dataset *dataset, const struct hash *hash) {
    begin_elements(dataset, "HMSET");
    scan_hash(dataset, hash, put_field);
    end_elements(dataset);
    if (hash_next_expiry(hash) != RECORD_NO_EXPIRY) scan_hash(dataset, hash, put_field_time);
}

static void put_sorted_set(struct dataset *dataset, const struct sorted_set *set) {
    struct sorted_set_span span = sorted_set_span_whole(set);
    struct sorted_set_walk walk;
    struct sorted_set_element element;
    begin_elements(dataset, "ZADD");
    sorted_set_walk_begin(&walk, set, &span, false);
    while (sorted_set_walk_next(&walk, &element)) {
        char score[NUMBER_DOUBLE_TEXT_MAX];
        begin_element(dataset);
        add(dataset, bytes_make(score, number_format_double(score, element.score)));
        add_item(dataset, &element.member);
    }
    end_elements(dataset);
}

/* ---- streams ---- */

static void put_stream_entries(struct dataset *dataset, const struct stream *stream) {
    struct stream_walk walk;
    struct stream_id from = STREAM_ID_MIN, to = STREAM_ID_MAX;
    struct item name, value;
    stream_walk_begin(&walk, stream, &from, &to, false);
    while (stream_walk_next(&walk)) {
        begin(dataset, "XADD");
        add_id(dataset, &walk.node.id);
        while (stream_node_take(&walk.node, &name, &value)) {
            add_item(dataset, &name);
            add_item(dataset, &value);
        }
        end(dataset);
    }
}

/* One without entries, whose last id may be any. */
static void put_empty_stream(struct dataset *dataset, const struct stream *stream) {
    if (stream_id_compare(&stream->last, &STREAM_ID_MIN) > 0) {
        begin(dataset, "XADD");
        add_text(dataset, "MAXLEN");
        add_text(dataset, "0");
        add_id(dataset, &stream->last);
        add_text(dataset, "field");
        add_text(dataset, "value");
        end(dataset);
        return;
    }
    add_text(dataset, "XGROUP");
    add_text(dataset, "CREATE");
    add(dataset, dataset->key);
    add_text(dataset, "none");
    add_text(dataset, "0");
    add_text(dataset, "MKSTREAM");
    end(dataset);
    add_text(dataset, "XGROUP");
    add_text(dataset, "DESTROY");
    add(dataset, dataset->key);
    add_text(dataset, "none");
    end(dataset);
}

static void put_counts(struct dataset *dataset, const struct stream *stream) {
    begin(dataset, "XSETID");
    add_id(dataset, &stream->last);
    add_text(dataset, "ENTRIESADDED");
    add_u64(dataset, stream->added);
    add_text(dataset, "MAXDELETEDID");
    add_id(dataset, &stream->max_deleted);
    end(dataset);
}

static void put_pending(struct dataset *dataset, const struct stream_group *group) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct stream_id from = STREAM_ID_MIN;
    stream_pending_begin(&walk, group, NULL, &from);
    while (stream_pending_next(&walk, &pending)) {
        begin(dataset, "XCLAIM");
        add(dataset, stream_group_name(group));
        add(dataset, stream_consumer_name(stream_consumer_numbered(group, pending.consumer)));
        add_text(dataset, "0");
        add_id(dataset, &pending.id);
        add_text(dataset, "TIME");
        add_i64(dataset, pending.delivered_ms);
        add_text(dataset, "RETRYCOUNT");
        add_u64(dataset, pending.deliveries);
        add_text(dataset, "JUSTID");
        add_text(dataset, "FORCE");
        end(dataset);
    }
}

static void put_group(struct dataset *dataset, const struct stream_group *group) {
    add_text(dataset, "XGROUP");
    add_text(dataset, "CREATE");
    add(dataset, dataset->key);
    add(dataset, stream_group_name(group));
    add_id(dataset, &group->last);
    add_text(dataset, "ENTRIESREAD");
    add_i64(dataset, group->read);
    end(dataset);
    for (uint32_t i = 0; i < stream_consumer_count(group); i++) {
        add_text(dataset, "XGROUP");
        add_text(dataset, "CREATECONSUMER");
        add(dataset, dataset->key);
        add(dataset, stream_group_name(group));
        add(dataset, stream_consumer_name(stream_consumer_at(group, i)));
        end(dataset);
    }
    put_pending(dataset, group);
}

/* Is something pending that is not there any more? */
static bool misses_entries(const struct stream *stream) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    struct stream_id from = STREAM_ID_MIN;
    for (uint32_t i = 0; i < stream_group_count(stream); i++) {
        stream_pending_begin(&walk, stream_group_at(stream, i), NULL, &from);
        while (stream_pending_next(&walk, &pending))
            if (!stream_has(stream, &pending.id)) return true;
    }
    return false;
}

static void put_restore(struct dataset *dataset, const struct entry *entry) {
    struct rdb_output payload;
    rdb_output_init(&payload, dataset->options->compresses);
    rdb_value_dump(&payload, entry, dataset->options->world);
    begin(dataset, "RESTORE");
    add_text(dataset, "0");
    add(dataset, buffer_bytes(&payload.buffer));
    end(dataset);
    rdb_output_release(&payload);
}

static void put_stream(struct dataset *dataset, const struct stream *stream) {
    if (stream_length(stream) > 0)
        put_stream_entries(dataset, stream);
    else
        put_empty_stream(dataset, stream);
    put_counts(dataset, stream);
    for (uint32_t i = 0; i < stream_group_count(stream); i++)
        put_group(dataset, stream_group_at(stream, i));
}

/* ---- keys ---- */

static void put_object(struct dataset *dataset, const struct entry *entry) {
    union object_room room;
    const struct object *object = entry_read_object(entry, dataset->options->world, &room);
    switch ((enum value_type)object->type) {
    case VALUE_LIST: put_list(dataset, (const struct list *)object); break;
    case VALUE_SET: put_set(dataset, (const struct set *)object); break;
    case VALUE_HASH: put_hash(dataset, (const struct hash *)object); break;
    case VALUE_SORTED_SET: put_sorted_set(dataset, (const struct sorted_set *)object); break;
    case VALUE_STREAM:
        if (misses_entries((const struct stream *)object))
            put_restore(dataset, entry);
        else
            put_stream(dataset, (const struct stream *)object);
        break;
    default: invariant_panic("No commands for a value of type %u", object->type);
    }
}

static void visit(void *context, const struct entry *entry) {
    struct dataset *dataset = context;
    if (dataset->out.failed) return;
    dataset->key = entry_key(entry);
    if (entry_type(entry) == VALUE_STRING)
        put_string(dataset, entry);
    else
        put_object(dataset, entry);
    if (entry_expiry(entry) != ENTRY_NO_EXPIRY) {
        begin(dataset, "PEXPIREAT");
        add_i64(dataset, entry_expiry(entry));
        end(dataset);
    }
    dataset->keys++;
}

static void tell_keys(struct dataset *dataset) {
    if (dataset->options->keys_done)
        __atomic_fetch_add(dataset->options->keys_done, dataset->keys, __ATOMIC_RELAXED);
    dataset->keys = 0;
}

static void select_database(struct dataset *dataset, int64_t database) {
    add_text(dataset, "SELECT");
    add_i64(dataset, database);
    end(dataset);
}

static void put_databases(struct dataset *dataset) {
    struct view *view = dataset->options->view;
    for (uint32_t i = 0; i < view_database_count(view); i++) {
        uint64_t cursor = 0;
        if (view_count(view, i) == 0) continue;
        select_database(dataset, i);
        do {
            cursor = view_scan(view, i, cursor, visit, dataset);
            view_pass(view, i, cursor);
            tell_keys(dataset);
        } while (cursor != 0 && !dataset->out.failed);
    }
}

/* ---- around them ---- */

static void put_libraries(struct dataset *dataset) {
    struct rdb_input in = rdb_input_of(dataset->options->libraries);
    struct buffer room = {0};
    struct bytes code;
    uint8_t opcode;
    while (rdb_input_left(&in) > 0) {
        bool good = rdb_input_byte(&in, &opcode) && opcode == RDB_FUNCTION_2 &&
                    rdb_input_string(&in, &room, &code);
        INVARIANT(good);
        add_text(dataset, "FUNCTION");
        add_text(dataset, "LOAD");
        add(dataset, code);
        end(dataset);
    }
    buffer_release(&room);
}

static void put_history(struct dataset *dataset) {
    const struct rdb_history *history = &dataset->options->history;
    struct annotation annotation = {.offset = history->offset,
                                    .time_ms = dataset->options->now_s * 1000};
    if (history->id[0] == 0) return;
    if (history->database >= 0) select_database(dataset, history->database);
    memcpy(annotation.id, history->id, sizeof annotation.id);
    annotation_format(&annotation, &dataset->out.buffer);
}

static bool write_block(void *context, struct bytes bytes) {
    const struct dataset *dataset = context;
    return dataset->options->write(dataset->options->context, bytes);
}

bool dataset_write(const struct rdb_writer_options *options) {
    struct dataset dataset = {.options = options};
    rdb_output_init(&dataset.out, false);
    dataset.out.write = write_block;
    dataset.out.context = &dataset;
    put_libraries(&dataset);
    put_databases(&dataset);
    put_history(&dataset);
    rdb_output_flush(&dataset.out);
    bool good = !dataset.out.failed;
    buffer_release(&dataset.words);
    rdb_output_release(&dataset.out);
    return good;
}
