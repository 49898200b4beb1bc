/* Everything at once, by chance: three hosts connect, talk, close, are cut, parted, killed, crashed
 * and booted, write, sync, rename and remove, for many seeds. Checked all along against what must
 * hold: a stream is received as it was sent, up to a point; synced bytes stay; a seed gives one
 * trace. */
#include "io/simulation.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HOSTS = 3, ENDS_MAX = 40, STEPS = 1500, SEEDS = 40, PORT = 7000, JOBS_MAX = 4 };

/* One end of a connection. A client's stream is its number, then bytes counted up from there. */
struct end {
    io_socket socket;
    bool is_client;
    uint8_t number;
    uint64_t sent, received;
};

struct machine {
    struct io *io;
    bool is_on;
    io_socket listener;
    struct end ends[ENDS_MAX];
    int end_count;
    io_file file;
    uint64_t written, synced; /* bytes of "log", which is only appended to */
    bool name_is_synced;
    int jobs;
};

struct chaos {
    struct simulation *simulation;
    struct machine machines[HOSTS];
    uint8_t number_next;
    uint64_t bytes_checked;
    int crashes;
};

static uint64_t below(struct chaos *chaos, uint64_t limit) {
    return simulation_random_below(chaos->simulation, limit);
}

static void machine_start(struct machine *machine) {
    struct io *io = machine->io;
    char error[64] = "";
    struct io_listen_tcp where = {.address = "*", .port = PORT, .backlog = 4};
    machine->listener = io->operations->listen_tcp(io, &where, error, sizeof(error));
    assert_true(machine->listener >= 0);
    machine->file =
        io->operations->open(io, "log", IO_READ | IO_WRITE | IO_CREATE | IO_APPEND, 0600);
    assert_true(machine->file >= 0);
    machine->end_count = 0;
    machine->is_on = true;
}

static struct end *pick_end(struct chaos *chaos, struct machine *machine) {
    if (machine->end_count == 0) return NULL;
    return &machine->ends[below(chaos, (uint64_t)machine->end_count)];
}

static void drop_end(struct machine *machine, struct end *end) {
    io_close_socket(machine->io, end->socket);
    *end = machine->ends[--machine->end_count];
}

static void add_end(struct machine *machine, io_socket socket, bool is_client, uint8_t number) {
    if (machine->end_count == ENDS_MAX) {
        io_close_socket(machine->io, socket);
        return;
    }
    machine->ends[machine->end_count++] =
        (struct end){.socket = socket, .is_client = is_client, .number = number};
    assert_int_equal(io_watch(machine->io, socket, IO_READABLE, NULL), 0);
}

static void connect_somewhere(struct chaos *chaos, struct machine *machine) {
    char address[32];
    snprintf(address, sizeof(address), "10.0.0.%d", (int)below(chaos, HOSTS) + 1);
    struct io *io = machine->io;
    io_socket socket = io->operations->connect_tcp(io, address, PORT, NULL);
    assert_true(socket >= 0);
    add_end(machine, socket, true, chaos->number_next++);
}

static void accept_all(struct machine *machine) {
    io_socket socket;
    while ((socket = machine->io->operations->accept(machine->io, machine->listener)) >= 0)
        add_end(machine, socket, false, 0);
    assert_int_equal(socket, -EAGAIN);
}

static bool is_expected_error(int64_t result) {
    return result == -EAGAIN || result == -ECONNRESET || result == -EPIPE ||
           result == -ECONNREFUSED || result == -ETIMEDOUT;
}

static void send_some(struct chaos *chaos, struct machine *machine, struct end *end) {
    if (end == NULL || !end->is_client) return;
    uint8_t block[600];
    size_t size = 1 + below(chaos, sizeof(block));
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)(end->number + end->sent + i);
    struct bytes part = {(const char *)block, size};
    int64_t sent = io_send(machine->io, end->socket, &part, 1);
    assert_true(sent > 0 || is_expected_error(sent));
    if (sent > 0) end->sent += (uint64_t)sent;
    if (sent < 0 && sent != -EAGAIN) drop_end(machine, end);
}

static void receive_some(struct chaos *chaos, struct machine *machine, struct end *end) {
    if (end == NULL) return;
    uint8_t block[500];
    int64_t got = io_receive(machine->io, end->socket, block, 1 + below(chaos, sizeof(block)));
    assert_true(got >= 0 || is_expected_error(got));
    assert_true(got <= 0 || !end->is_client); /* nobody sends to clients */
    if (got > 0 && end->received == 0) end->number = block[0];
    for (int64_t i = 0; i < got; i++)
        assert_int_equal(block[i], (uint8_t)(end->number + end->received + (uint64_t)i));
    if (got > 0) {
        end->received += (uint64_t)got;
        chaos->bytes_checked += (uint64_t)got;
    } else if (got != -EAGAIN) {
        drop_end(machine, end);
    }
}

static void write_some(struct chaos *chaos, struct machine *machine) {
    uint8_t block[100];
    size_t size = 1 + below(chaos, sizeof(block));
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)(machine->written + i);
    int64_t written = machine->io->operations->write(machine->io, machine->file, block, size);
    assert_true(written > 0);
    machine->written += (uint64_t)written;
}

static void use_other_files(struct chaos *chaos, struct machine *machine) {
    struct io *io = machine->io;
    char from[16], to[16];
    snprintf(from, sizeof(from), "f%d", (int)below(chaos, 4));
    snprintf(to, sizeof(to), "f%d", (int)below(chaos, 4));
    io_file file = io->operations->open(io, from, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0600);
    assert_true(file >= 0);
    assert_int_equal(io->operations->write(io, file, from, 2), 2);
    if (below(chaos, 2)) assert_int_equal(io->operations->truncate(io, file, below(chaos, 9)), 0);
    io->operations->close(io, file);
    if (below(chaos, 2)) assert_int_equal(io->operations->rename(io, from, to), 0);
    if (below(chaos, 4) == 0) io->operations->remove(io, to);
}

static void job_work(void *context) {
    struct machine *machine = context;
    machine->io->operations->sync_directory(machine->io, "/");
}

static void job_done(void *context) {
    ((struct machine *)context)->jobs--;
}

static void submit_job(struct chaos *chaos, struct machine *machine) {
    if (machine->jobs == JOBS_MAX) return;
    machine->jobs++;
    io_submit(machine->io, (uint32_t)below(chaos, IO_LANE_COUNT), job_work, job_done, machine);
}

/* What was synced has to be there, and nothing but what was written. */
static void check_log(struct machine *machine) {
    static uint8_t content[1 << 18];
    struct io *io = machine->io;
    int64_t size = io->operations->read_at(io, machine->file, content, sizeof(content), 0);
    assert_true(size >= 0 && (uint64_t)size <= machine->written);
    if (machine->name_is_synced) assert_true((uint64_t)size >= machine->synced);
    uint64_t sure = (uint64_t)size < machine->synced ? (uint64_t)size : machine->synced;
    for (uint64_t i = 0; i < sure; i++)
        assert_int_equal(content[i], (uint8_t)i);
    /* Begins anew from what can be trusted. */
    assert_int_equal(io->operations->truncate(io, machine->file, sure), 0);
    machine->written = machine->synced = sure;
    assert_int_equal(io->operations->sync(io, machine->file, false), 0);
    assert_int_equal(io->operations->sync_directory(io, "/"), 0);
    machine->name_is_synced = true;
}

static void switch_machine(struct chaos *chaos, struct machine *machine) {
    if (!machine->is_on) {
        simulation_boot(machine->io);
        machine_start(machine);
        check_log(machine);
        return;
    }
    if (below(chaos, 2)) {
        simulation_kill(machine->io);
    } else {
        simulation_crash(machine->io);
    }
    for (int i = 0; i < machine->end_count; i++) /* as a server does that frees its memory */
        io_close_socket(machine->io, machine->ends[i].socket);
    machine->io->operations->finish_work(machine->io);
    assert_int_equal(machine->jobs, 0);
    machine->is_on = false;
    chaos->crashes++;
}

static void act(struct chaos *chaos, struct machine *machine) {
    struct io_event events[3];
    struct end *end = pick_end(chaos, machine);
    switch (below(chaos, 16)) {
    case 0: connect_somewhere(chaos, machine); break;
    case 1: accept_all(machine); break;
    case 2:
    case 3:
    case 4: send_some(chaos, machine, end); break;
    case 5:
    case 6:
    case 7: receive_some(chaos, machine, end); break;
    case 8:
        if (end != NULL && below(chaos, 4) == 0) drop_end(machine, end);
        break;
    case 9:
        if (end != NULL && below(chaos, 4) == 0)
            simulation_cut(machine->io, end->socket, below(chaos, 2));
        break;
    case 10: write_some(chaos, machine); break;
    case 11:
        assert_int_equal(machine->io->operations->sync(machine->io, machine->file, true), 0);
        machine->synced = machine->written;
        break;
    case 12: use_other_files(chaos, machine); break;
    case 13: submit_job(chaos, machine); break;
    case 14:
        if (end != NULL) machine->io->operations->set_keepalive(machine->io, end->socket, 5);
        break;
    default: assert_true(io_wait(machine->io, events, 3, 1000) >= 0); break;
    }
}

static void part_or_heal(struct chaos *chaos) {
    struct io *a = chaos->machines[below(chaos, HOSTS)].io;
    struct io *b = chaos->machines[below(chaos, HOSTS)].io;
    if (below(chaos, 3) == 0 && a != b) {
        simulation_partition(a, b);
    } else {
        simulation_heal(a, b);
    }
}

static uint64_t run_chaos(uint64_t seed, uint64_t *bytes_checked, int *crashes) {
    struct chaos chaos = {.simulation = simulation_open(seed)};
    for (int i = 0; i < HOSTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i);
        chaos.machines[i].io = simulation_host(chaos.simulation, name);
        machine_start(&chaos.machines[i]);
        check_log(&chaos.machines[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        struct machine *machine = &chaos.machines[below(&chaos, HOSTS)];
        if (below(&chaos, 150) == 0) {
            switch_machine(&chaos, machine);
        } else if (machine->is_on) {
            act(&chaos, machine);
        }
        if (below(&chaos, 100) == 0) part_or_heal(&chaos);
        if (below(&chaos, 2)) simulation_run_for(chaos.simulation, (int64_t)below(&chaos, 3000));
        if (below(&chaos, 200) == 0) simulation_run_for(chaos.simulation, 20000000);
    }
    uint64_t trace = simulation_trace_hash(chaos.simulation);
    simulation_close(chaos.simulation);
    *bytes_checked += chaos.bytes_checked;
    *crashes += chaos.crashes;
    return trace;
}

static void test_chaos(void **state) {
    (void)state;
    uint64_t bytes_checked = 0;
    int crashes = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        uint64_t first = run_chaos(seed, &bytes_checked, &crashes);
        uint64_t second = run_chaos(seed, &bytes_checked, &crashes);
        assert_true(first == second);
    }
    assert_true(bytes_checked > 100000);
    assert_true(crashes > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chaos)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
