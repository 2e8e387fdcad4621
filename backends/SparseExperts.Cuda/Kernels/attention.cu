#include "math.h"
#include "rows.h"

/// Dot products of queries and keys become probabilities in place, row (sequence·heads + head)·queries + query: times scale, plus bias, plus pad, then e
/// to the distance below the largest, over the sum of these, in which lane l adds keys l, l + 16, … in ascending order. When causal the
/// last query sees the last key, and keys that a query does not see are 0. Sixteen threads a row.
KERNEL THREADS(256) attention_probabilities(float *p, int strideP, int rows, int queries, int keys, int heads, float scale,
    const float *bias, int strideBias, const float *pad, int stridePad, int causal)
{
    int row = block_x() * 16 + thread_x() / 16, lane = thread_x() % 16, query = row % queries;
    int visible = row >= rows ? 0 : causal ? query + 1 + keys - queries : keys;
    p += (i64)row * strideP;
    const float *biases = bias + (i64)(row / queries % heads * queries + query) * strideBias;
    const float *pads = pad + (i64)(row / queries / heads) * stridePad;

    float top = -__builtin_inff();
    for (int j = lane; j < visible; j += 16)
    {
        float score = p[j] * scale;
        if (bias) score = score + biases[j];
        if (pad) score = score + pads[j];
        p[j] = score;
        top = score > top ? score : top;
    }
    top = join_largest(top);
    float sum = 0.0f;
    for (int j = lane; j < visible; j += 16)
    {
        float e = exp(p[j] - top);
        p[j] = e;
        sum = sum + e;
    }
    sum = join_lanes(sum);
    if (row >= rows) return;
    for (int j = lane; j < keys; j += 16) p[j] = j < visible ? p[j] / sum : 0.0f;
}

/// dP = dY·Vᵀ becomes scale·dS in place, dS = P ∘ (dP − Σ P ∘ dP); in the sum lane l is an ascending chain of fused multiply-adds over keys l, l + 16, ….
/// dS itself goes to slopes unless that is null. When causal, keys that the query does not see are not read and have dS = 0. Sixteen threads a row.
KERNEL THREADS(256) attention_slopes(const float *p, int strideP, float *scores, float *slopes, int rows, int queries, int keys, float scale,
    int causal)
{
    int row = block_x() * 16 + thread_x() / 16, lane = thread_x() % 16;
    int visible = row >= rows ? 0 : causal ? row % queries + 1 + keys - queries : keys;
    p += (i64)row * strideP;
    scores += (i64)row * keys;

    float sum = 0.0f;
    for (int j = lane; j < visible; j += 16) sum = fma(p[j], scores[j], sum);
    float mean = join_lanes(sum);
    if (row >= rows) return;
    for (int j = lane; j < keys; j += 16)
    {
        float slope = j < visible ? p[j] * (scores[j] - mean) : 0.0f;
        if (slopes) slopes[(i64)row * keys + j] = slope;
        scores[j] = slope * scale;
    }
}
