#include "elements.h"
#include "rows.h"

/// Whether an index names one of so many; what does not means none.
DEVICE bool names(int index, int count) { return (u32)index < (u32)count; }

/// 1 for a choice that has a row, 0 for one without.
DEVICE float kept(const int *row_of_choice, i64 place, int plan_rows) { return names(row_of_choice[place], plan_rows) ? 1.0f : 0.0f; }

/// y_tj = x_(t, expert of (t, j)), with rows of choices times 1 or 0. Arrays of choices hold element j·T + t.
KERNEL chosen_gates(SOURCE(x), VIEW(y), int rows, int columns, int experts, const int *expert, const int *row_of_choice, int plan_rows)
{
    EACH_ELEMENT(rows, columns)
    {
        i64 place = (i64)column * rows + row;
        float gate = names(expert[place], experts) ? x[(i64)row * x_stride + expert[place]] : 0.0f;
        AT(y) = row_of_choice ? gate * kept(row_of_choice, place, plan_rows) : gate;
    }
}

/// dx_(t, e) (+)= Σ_j dy_tj over the choices of expert e, in ascending j.
KERNEL chosen_gates_backward(SOURCE(dy), VIEW(dx), int rows, int columns, int choices, const int *expert, const int *row_of_choice, int plan_rows,
    int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        float sum = accumulate ? AT(dx) : 0.0f;
        for (int j = 0; j < choices; j++)
        {
            i64 place = (i64)j * rows + row;
            if (expert[place] != column) continue;
            float slope = dy[(i64)row * dy_stride + j];
            sum = sum + (row_of_choice ? slope * kept(row_of_choice, place, plan_rows) : slope);
        }
        AT(dx) = sum;
    }
}

/// The gate of a choice t·K + j, 0 for none.
DEVICE float gate_of(const float *gates, int gates_stride, int choices, int tokens, int choice)
{
    return names(choice, tokens * choices) ? gates[(i64)(choice / choices) * gates_stride + choice % choices] : 0.0f;
}

/// y_t = Σ_j gate·x of the row of (t, j), each product rounded, in ascending j.
KERNEL combine(SOURCE(x), SOURCE(gates), VIEW(y), int rows, int columns, int choices, int plan_rows, const int *row_of_choice, const int *choice_of_row)
{
    EACH_ELEMENT(rows, columns)
    {
        float sum = 0.0f;
        for (int j = 0; j < choices; j++)
        {
            int from = row_of_choice[(i64)j * rows + row];
            float term = 0.0f;
            if (names(from, plan_rows)) term = x[(i64)from * x_stride + column] * gate_of(gates, gates_stride, choices, rows, choice_of_row[from]);
            sum = j == 0 ? term : sum + term;
        }
        AT(y) = sum;
    }
}

/// A half-warp has a row of the plan, dx_r (+)= gate·dy_(token of r), fused where it adds; behind the last row it has a choice, dgate (+)= ⟨dy, x⟩ of the
/// choice's row.
ROW_KERNEL combine_backward(SOURCE(x), SOURCE(gates), SOURCE(dy), VIEW(dx), VIEW(dgates), int rows, int columns, int plan_rows, int choices,
    const int *token_of_row, const int *choice_of_row, const int *row_of_choice, int accumulate_x, int accumulate_gates)
{
    OwnRow own = own_row(rows, columns);
    int tokens = choices > 0 ? (rows - plan_rows) / choices : 0, choice = own.row - plan_rows, row = choice < 0 ? own.row : row_of_choice[choice];
    bool there = names(row, plan_rows);
    int token = there ? token_of_row[row] : -1;
    const float *slopes = dy + (i64)token * dy_stride, *from = x + (i64)row * x_stride;
    bool carries = names(token, tokens);

    float sum = 0.0f;
    int columns_of_dot = choice >= 0 && there ? own.columns : 0;
    EACH_COLUMN(j, own.lane, columns_of_dot) sum = fma(carries ? slopes[j] : 0.0f, from[j], sum);
    float dot = join_lanes(sum);
    if (choice >= 0)
    {
        float *to = dgates + (i64)(choice % tokens) * dgates_stride + choice / tokens;
        if (own.writes) *to = (accumulate_gates ? *to : 0.0f) + dot;
        return;
    }
    float gate = gate_of(gates, gates_stride, choices, tokens, choice_of_row[row]), *to = dx + (i64)row * dx_stride;
    write_row(to, own.lane, own.columns, false, [=](int j)
    {
        float slope = carries ? slopes[j] : 0.0f;
        return accumulate_x ? fma(slope, gate, to[j]) : slope * gate;
    });
}
