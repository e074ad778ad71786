/* One walker for every model: encodes rows, walks decision trees or adds a linear sum, applies the logistic link.
 *
 * The order of additions is scikit-learn's (the baseline, then tree after tree), so sums are equal bit for bit; it must
 * be compiled without contraction into fused multiply-adds. Nothing here checks the model: program.py proves before
 * that every index is in bounds and that every walk ends. A category code that is none is a missing value.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK = 64, LANES = 8 };

typedef struct {
    double value;         /* threshold, or what a leaf adds */
    int32_t left, right;  /* a leaf's are its own index, so that a walk may go on without moving */
    int32_t column;
    int32_t kind;         /* bit 0: missing goes left; above: 1 + index of the set of categories that go left */
} Node;

typedef struct {
    double subtract, divide;  /* of a number */
    int32_t feature;
    int32_t table, size;      /* of a category: first entry, entries; one more entry follows, for null. size 0: number */
    int32_t unused;
} Column;

typedef struct {
    const Column *columns;
    const double *tables;
    const Node *nodes;
    const int32_t *roots, *depths;
    const uint32_t *sets;         /* 8 words a set: categories 0 to 255 */
    const double *baseline;       /* one an output */
    const double *coefficients;   /* outputs x columns, of a linear model */
    int32_t features, width, trees, outputs, logistic, linear;
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

static inline int32_t next(const Model *m, int32_t at, const double *x) {
    const Node *node = m->nodes + at;
    double v = x[node->column];
    int left;
    if (node->kind < 2) {
        left = (v <= node->value) | ((v != v) & node->kind);
    } else if (v >= 0 && v < 256) {
        uint32_t category = (uint32_t)v;
        left = (m->sets[((node->kind >> 1) - 1) * 8 + (category >> 5)] >> (category & 31)) & 1;
    } else {
        left = node->kind & 1;
    }
    return left ? node->left : node->right;
}

static void walk_block(const Model *m, const double *x, int64_t rows, double *out) {
    for (int32_t t = 0; t < m->trees; t++) {
        int32_t root = m->roots[t], depth = m->depths[t], k = t % m->outputs;
        int64_t r = 0;
        for (; r + LANES <= rows; r += LANES) {
            int32_t at[LANES];
            for (int lane = 0; lane < LANES; lane++) at[lane] = root;
            for (int32_t d = 0; d < depth; d++)
                for (int lane = 0; lane < LANES; lane++) at[lane] = next(m, at[lane], x + (r + lane) * m->width);
            for (int lane = 0; lane < LANES; lane++) out[(r + lane) * m->outputs + k] += m->nodes[at[lane]].value;
        }
        for (; r < rows; r++) {
            int32_t at = root;
            for (int32_t d = 0; d < depth; d++) at = next(m, at, x + r * m->width);
            out[r * m->outputs + k] += m->nodes[at].value;
        }
    }
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
