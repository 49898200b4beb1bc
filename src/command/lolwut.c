/* lolwut.c: LOLWUT draws a picture and says the version. The picture: a night over hills, with a
 * moon, stars, and redstarts on a wire; another one each time. */
#include "command/command_handlers.h"

#include "base/buffer.h"
#include "engine/call.h"
#include "engine/version.h"

enum {
    COLUMNS = 66,
    ROWS = 20,
    SKY_ROWS = 9, /* nothing of the ground reaches into them */
    MOON_RADIUS = 2,
    STARS = 34,
    HILL_RANGES = 3, /* from the farthest to the nearest */
    WIRE_SAG = 2,
    BIRDS_MAX = 5,
};

struct picture {
    char cells[ROWS][COLUMNS];
};

static uint32_t pick(struct call *call, uint32_t below) {
    return (uint32_t)(call_random(call) % below);
}

static void draw(struct picture *picture, int row, int column, char c) {
    if (row >= 0 && row < ROWS && column >= 0 && column < COLUMNS) picture->cells[row][column] = c;
}

static void draw_sky(struct call *call, struct picture *picture) {
    static const char kinds[] = "....''`,*+";
    memset(picture->cells, ' ', sizeof picture->cells);
    for (int i = 0; i < STARS; i++) {
        char star = kinds[pick(call, sizeof kinds - 1)];
        draw(picture, (int)pick(call, SKY_ROWS + 3), (int)pick(call, COLUMNS), star);
    }
    int row = MOON_RADIUS + (int)pick(call, 2);
    int column = 8 + (int)pick(call, COLUMNS - 16);
    int shadow = 2 + (int)pick(call, 3); /* columns by which the dark disc is moved */
    for (int y = -MOON_RADIUS; y <= MOON_RADIUS; y++) {
        for (int x = -2 * MOON_RADIUS; x <= 2 * MOON_RADIUS; x++) {
            int dark = x + shadow;
            if (x * x + 4 * y * y > 4 * MOON_RADIUS * MOON_RADIUS + 2) continue;
            bool is_lit = dark * dark + 4 * y * y > 4 * MOON_RADIUS * MOON_RADIUS + 2;
            draw(picture, row + y, column + x, is_lit ? '@' : ' ');
        }
    }
}

/* A walk that seldom turns. */
static void draw_range(struct call *call, struct picture *picture, int top, char body) {
    int height = top + (int)pick(call, 2), slope = 0;
    for (int column = 0; column < COLUMNS; column++) {
        if (pick(call, 4) == 0) slope = (int)pick(call, 3) - 1;
        if (pick(call, 3) == 0) height += slope;
        if (height < top - 2) height = top - 2;
        if (height > top + 2) height = top + 2;
        draw(picture, height, column, slope < 0 ? '/' : slope > 0 ? '\\' : '_');
        for (int row = height + 1; row < ROWS; row++)
            draw(picture, row, column, body);
    }
}

/* The wire hangs from side to side; the birds sit on it, two cells wide, with a tail. */
static void draw_wire(struct call *call, struct picture *picture) {
    int top = SKY_ROWS - 3, bird_count = 1 + (int)pick(call, BIRDS_MAX);
    for (int column = 0; column < COLUMNS; column++) {
        int from_middle = 2 * column - COLUMNS;
        int sag = WIRE_SAG - WIRE_SAG * from_middle * from_middle / (COLUMNS * COLUMNS);
        draw(picture, top + sag, column, '-');
    }
    for (int i = 0; i < bird_count; i++) {
        int column = 4 + (int)pick(call, COLUMNS - 8), row = 0;
        while (row < ROWS - 1 && picture->cells[row][column] != '-')
            row++;
        bool looks_left = pick(call, 2) == 0;
        draw(picture, row - 1, column, looks_left ? '(' : '/');
        draw(picture, row - 1, column + 1, looks_left ? '\\' : ')');
        draw(picture, row - 2, looks_left ? column - 1 : column + 2, looks_left ? '<' : '>');
        draw(picture, row - 2, looks_left ? column : column + 1, 'o');
    }
}

static void append_picture(struct call *call, struct buffer *out) {
    static const char bodies[HILL_RANGES] = {' ', '.', ':'};
    struct picture picture;
    draw_sky(call, &picture);
    for (int i = 0; i < HILL_RANGES; i++)
        draw_range(call, &picture, SKY_ROWS + 3 + i * 3, bodies[i]);
    draw_wire(call, &picture);
    for (int row = 0; row < ROWS; row++) {
        int end = COLUMNS;
        while (end > 0 && picture.cells[row][end - 1] == ' ')
            end--;
        buffer_append(out, picture.cells[row], (size_t)end);
        buffer_append_byte(out, '\n');
    }
}

/* Any version draws the same kind of picture; further arguments are for pictures of other times.
 * VERSION without a number draws nothing. */
void command_lolwut(struct call *call) {
    struct buffer text = {.size = 0};
    bool is_version = call_argument_is(call, 1, "version");
    int64_t version;
    if (is_version && call->argc > 2 && !call_parse_i64(call, 2, &version, NULL)) return;
    if (!is_version || call->argc > 2) {
        append_picture(call, &text);
        buffer_append_text(
            &text, "\nRedstarts on a wire, drawn by chance. Redstart ver. " REDSTART_VERSION "\n");
    }
    buffer_append_text(&text, "Redis ver. " REDIS_VERSION "\n");
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}
