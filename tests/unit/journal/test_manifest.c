/* test_manifest.c: the list of files: what is read, what is refused, and that what is written is
 * read again. */
#include "../base/cmocka_all.h"
#include "journal/manifest.h"

static void text_is(const struct manifest *manifest, const char *expected) {
    struct buffer text = {0};
    manifest_format(manifest, &text);
    buffer_append_byte(&text, 0);
    assert_string_equal(text.data, expected);
    buffer_release(&text);
}

static void test_reads_what_redis_writes(void **state) {
    (void)state;
    struct manifest manifest;
    char error[128];
    const char *text = "file appendonly.aof.2.base.rdb seq 2 type b\n"
                       "file appendonly.aof.1.incr.aof seq 1 type h\n"
                       "file appendonly.aof.3.incr.aof seq 3 type i startoffset 12\n"
                       "# a remark\n"
                       "file \"a b\\x41\\\"\" seq 4 type i\r\n";
    assert_true(manifest_parse(&manifest, bytes_from_text(text), error, sizeof error));
    assert_int_equal(manifest.count, 4);
    assert_string_equal(manifest_base(&manifest)->name, "appendonly.aof.2.base.rdb");
    assert_int_equal(manifest.base_sequence, 2);
    assert_int_equal(manifest.increment_sequence, 4);
    text_is(&manifest, "file appendonly.aof.2.base.rdb seq 2 type b\n"
                       "file appendonly.aof.3.incr.aof seq 3 type i startoffset 12\n"
                       "file \"a bA\\\"\" seq 4 type i\n"
                       "file appendonly.aof.1.incr.aof seq 1 type h\n");
    manifest_release(&manifest);
}

static void test_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "file a seq 1",
        "file a type b",
        "seq 1 type b",
        "file a seq x type b",
        "file a seq -1 type b",
        "file a seq 1 type q",
        "file a seq 1 type",
        "file ../a seq 1 type b",
        "file .. seq 1 type b",
        "file \"a seq 1 type b",
        "file \"a\\x00b\" seq 1 type b",
        "file a seq 1 type b\nfile b seq 2 type b",
        "file a seq 2 type i\nfile b seq 1 type i",
        "file a seq 1 type i\nfile b seq 1 type i",
        "nonsense",
        "file "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaa "
        "seq 1 type b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct manifest manifest;
        char error[128] = "";
        assert_false(manifest_parse(&manifest, bytes_from_text(bad[i]), error, sizeof error));
        assert_true(error[0] != 0);
        assert_int_equal(manifest.count, 0);
    }
}

static void test_changes(void **state) {
    (void)state;
    struct manifest manifest = {0}, copy;
    manifest_adopt(&manifest, "old.aof");
    assert_string_equal(manifest_add_increment(&manifest, "a.aof", 0)->name, "a.aof.1.incr.aof");
    assert_string_equal(manifest_add_increment(&manifest, "a.aof", 90)->name, "a.aof.2.incr.aof");
    assert_string_equal(manifest_add_base(&manifest, "a.aof", true, 2)->name, "a.aof.2.base.rdb");
    text_is(&manifest, "file a.aof.2.base.rdb seq 2 type b startoffset 90\n"
                       "file a.aof.2.incr.aof seq 2 type i startoffset 90\n"
                       "file old.aof seq 1 type h\n"
                       "file a.aof.1.incr.aof seq 1 type h startoffset 0\n");
    manifest_copy(&copy, &manifest);
    manifest_remove(&manifest, 2);
    assert_string_equal(manifest_add_base(&manifest, "a.aof", false, 3)->name, "a.aof.3.base.aof");
    text_is(&manifest, "file a.aof.3.base.aof seq 3 type b\n"
                       "file a.aof.1.incr.aof seq 1 type h startoffset 0\n"
                       "file a.aof.2.base.rdb seq 2 type h startoffset 90\n"
                       "file a.aof.2.incr.aof seq 2 type h startoffset 90\n");
    assert_int_equal(copy.count, 4);
    assert_string_equal(manifest_add_increment(&copy, "a.aof", 7)->name, "a.aof.3.incr.aof");
    manifest_release(&manifest);
    manifest_release(&copy);
}

/* Also of a manifest that has nothing but a base and history. */
static void test_names_of_history_are_taken(void **state) {
    (void)state;
    struct manifest manifest;
    char error[128];
    const char *text = "file a.aof.2.base.rdb seq 2 type b\n"
                       "file a.aof.3.base.rdb seq 3 type h\n"
                       "file a.aof.7.incr.aof seq 7 type h\n"
                       "file a.aof.6.incr.aof seq 6 type i\n";
    assert_true(manifest_parse(&manifest, bytes_from_text(text), error, sizeof error));
    assert_string_equal(manifest_add_increment(&manifest, "a.aof", 0)->name, "a.aof.8.incr.aof");
    assert_string_equal(manifest_add_base(&manifest, "a.aof", true, 8)->name, "a.aof.4.base.rdb");
    manifest_release(&manifest);
}

static void test_names_in_the_folder_are_taken(void **state) {
    (void)state;
    static const char *const others[] = {"",
                                         "a.aof",
                                         "a.aof.manifest",
                                         "a.aof.redo",
                                         "a.aof.incr.aof",
                                         "a.aof..incr.aof",
                                         "a.aof.9.incr.rdb",
                                         "b.aof.9.incr.aof",
                                         "a.aof.9.incr.aof.redo",
                                         "temp-a.aof.9.incr.aof",
                                         "a.aof.x9.base.rdb",
                                         "a.aof.-9.base.rdb",
                                         "a.aof.18446744073709551615.base.rdb",
                                         "a.aof.99999999999999999999.base.rdb"};
    struct manifest manifest = {0};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(manifest_pass_over(&manifest, "a.aof", others[i]));
    assert_true(manifest_pass_over(&manifest, "a.aof", "a.aof.7.incr.aof"));
    assert_true(manifest_pass_over(&manifest, "a.aof", "a.aof.5.incr.aof"));
    assert_true(manifest_pass_over(&manifest, "a.aof", "a.aof.2.base.rdb"));
    assert_true(manifest_pass_over(&manifest, "a.aof", "a.aof.3.base.aof"));
    assert_int_equal(manifest.count, 0);
    assert_string_equal(manifest_add_increment(&manifest, "a.aof", 0)->name, "a.aof.8.incr.aof");
    assert_string_equal(manifest_add_base(&manifest, "a.aof", true, 8)->name, "a.aof.4.base.rdb");
    manifest_release(&manifest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_redis_writes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_names_of_history_are_taken),
        cmocka_unit_test(test_names_in_the_folder_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
