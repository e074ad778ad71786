/* One walker for every model: encodes rows, walks decision trees or adds a linear sum, applies the logistic link.
 *
 * The order of additions is scikit-learn's (the baseline, then tree after tree), so sums are equal bit for bit; it must
 * be compiled without contraction into fused multiply-adds. Nothing here checks the model: program.py proves before
 * that every index is in bounds and that every walk ends. A category's place that is none is a null.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK = 64, LANES = 8 };

typedef struct {
    double threshold;
    int32_t left;     /* the right child follows it; a leaf's left child is itself and its threshold infinite */
    uint16_t column;
    uint16_t kind;    /* bit 0: missing goes left; above: 1 + index of the tree's set of categories that go left */
} Node;

typedef struct {
    double subtract, divide;  /* of a number */
    int32_t feature;
    int32_t table, size;      /* of a category: first entry, entries; one more entry follows, for null. size 0: number */
    int32_t unused;
} Column;

typedef struct {
    int32_t root, sets;  /* the first node and the first set of a tree */
} Tree;

typedef struct {
    const Column *columns;
    const double *tables;
    const Node *nodes;
    const double *leaves;         /* what each node adds, if it is a leaf */
    const Tree *trees;
    const uint32_t *sets;         /* 8 words a set: categories 0 to 255 */
    const double *baseline;       /* one an output */
    const double *coefficients;   /* outputs x columns, of a linear model */
    int32_t features, width, count, outputs, logistic, linear;
} Model;

static void encode(const Model *m, const double *row, double *x) {
    for (int32_t c = 0; c < m->width; c++) {
        const Column *column = m->columns + c;
        double v = row[column->feature];
        if (column->size) {
            int inside = v >= 0 && v < column->size;
            x[c] = m->tables[column->table + (inside ? (int32_t)v : column->size)];
        } else {
            x[c] = (v - column->subtract) / column->divide;
        }
    }
}

static inline int32_t next(const Model *m, const Tree *tree, int32_t at, const double *x) {
    const Node *node = m->nodes + at;
    double v = x[node->column];
    int left;
    if (node->kind < 2) {
        left = (v <= node->threshold) | ((v != v) & node->kind);
    } else if (v >= 0 && v < 256) {
        uint32_t category = (uint32_t)v;
        const uint32_t *set = m->sets + (tree->sets + (node->kind >> 1) - 1) * 8;
        left = (set[category >> 5] >> (category & 31)) & 1;
    } else {
        left = node->kind & 1;
    }
    return node->left + !left;
}

/* LANES walks at once, one a row, through one tree: a walk waits for memory at each step, so others use the time. */
static void walk_rows(const Model *m, int32_t t, const double *x, double *out) {
    const Tree *tree = m->trees + t;
    int32_t at[LANES], moved;
    for (int lane = 0; lane < LANES; lane++) at[lane] = tree->root;
    do {
        moved = 0;
        for (int lane = 0; lane < LANES; lane++) {
            int32_t to = next(m, tree, at[lane], x + lane * m->width);
            moved |= to ^ at[lane];
            at[lane] = to;
        }
    } while (moved);
    for (int lane = 0; lane < LANES; lane++) out[lane * m->outputs + t % m->outputs] += m->leaves[at[lane]];
}

/* LANES walks at once, one a tree, of one row; the leaves are added in the order of the trees. */
static void walk_trees(const Model *m, int32_t first, int32_t count, const double *x, double *out) {
    int32_t at[LANES], moved;
    for (int lane = 0; lane < count; lane++) at[lane] = m->trees[first + lane].root;
    do {
        moved = 0;
        for (int lane = 0; lane < count; lane++) {
            int32_t to = next(m, m->trees + first + lane, at[lane], x);
            moved |= to ^ at[lane];
            at[lane] = to;
        }
    } while (moved);
    for (int lane = 0; lane < count; lane++) out[(first + lane) % m->outputs] += m->leaves[at[lane]];
}

static void walk_block(const Model *m, const double *x, int64_t rows, double *out) {
    int64_t whole = rows - rows % LANES;
    for (int32_t t = 0; t < m->count; t++)
        for (int64_t r = 0; r < whole; r += LANES) walk_rows(m, t, x + r * m->width, out + r * m->outputs);
    for (int64_t r = whole; r < rows; r++)
        for (int32_t t = 0; t < m->count; t += LANES)
            walk_trees(m, t, m->count - t < LANES ? m->count - t : LANES, x + r * m->width, out + r * m->outputs);
}

static void add_block(const Model *m, const double *x, int64_t rows, double *out) {
    for (int64_t r = 0; r < rows; r++)
        for (int32_t k = 0; k < m->outputs; k++) {
            double sum = 0;
            for (int32_t c = 0; c < m->width; c++) sum += x[r * m->width + c] * m->coefficients[k * m->width + c];
            out[r * m->outputs + k] = sum + m->baseline[k];
        }
}

/* rows: count x features; out: count x outputs. Returns 0, or 1 when there is no memory. */
int lockgate_predict(const Model *m, const double *rows, int64_t count, double *out) {
    double *x = malloc(sizeof(double) * BLOCK * (m->width ? m->width : 1));
    if (!x) return 1;
    for (int64_t from = 0; from < count; from += BLOCK) {
        int64_t size = count - from < BLOCK ? count - from : BLOCK;
        double *to = out + from * m->outputs;
        for (int64_t r = 0; r < size; r++) encode(m, rows + (from + r) * m->features, x + r * m->width);
        if (m->linear) {
            add_block(m, x, size, to);
        } else {
            for (int64_t i = 0; i < size * m->outputs; i++) to[i] = m->baseline[i % m->outputs];
            walk_block(m, x, size, to);
        }
        if (m->logistic)
            for (int64_t i = 0; i < size * m->outputs; i++) to[i] = 1 / (1 + exp(-to[i]));
    }
    free(x);
    return 0;
}
