#include "rows.h"

// Who goes where, in integers: no order of threads can change them. A warp that goes over choices counts those of its own before each of them by a vote.

enum { MOST_GROUPS = 64, NOBODY = 0x7fffffff, WARPS_OF_BLOCK = 4 };

DEVICE u32 vote(bool yes) { return (u32)__nvvm_vote_ballot_sync(0xffffffffu, yes); }
DEVICE int ones(u32 bits) { return __builtin_popcount(bits); }
DEVICE u32 lanes_before(int lane) { return (1u << lane) - 1; }
DEVICE int int_from_lane_xor(int value, int distance) { return __nvvm_shfl_sync_bfly_i32(0xffffffffu, value, distance, 31); }

/// A number and its place. The order is total where nothing is NaN: larger numbers first, of equals the lower place.
struct Ranked
{
    float value;
    int place;
};

DEVICE bool before(Ranked a, Ranked b) { return b.place == NOBODY || a.value > b.value || (a.value == b.value && a.place < b.place); }

/// The best of a half-warp's sixteen; every lane has it.
DEVICE Ranked join_best(Ranked best)
{
    #pragma unroll
    for (int distance = 8; distance > 0; distance /= 2)
    {
        Ranked other = {from_lane_xor(best.value, distance), int_from_lane_xor(best.place, distance)};
        if (other.place != NOBODY && before(other, best)) best = other;
    }
    return best;
}

/// What a token ranks its experts by.
struct Numbers
{
    const float *scores, *bias;
    const int *kept;                                              // which groups of experts it keeps
    int perGroup;
    float leftOut;

    __attribute__((device, always_inline)) float own(int e) const { return bias ? scores[e] + bias[e] : scores[e]; }
    __attribute__((device, always_inline)) float of(int e) const { return kept[e / perGroup] ? own(e) : leftOut; }
};

/// The sum of the `best` largest numbers of a group of experts, best first.
DEVICE float sum_of_best(const Numbers &numbers, int first, int count, int best)
{
    float sum = 0.0f;
    Ranked last = {__builtin_inff(), -1};
    for (int i = 0; i < best && i < count; i++)
    {
        Ranked next = {0.0f, NOBODY};
        for (int e = first; e < first + count; e++)
        {
            Ranked one = {numbers.own(e), e};
            if (before(last, one) && before(one, next)) next = one;
        }
        sum = i == 0 ? next.value : sum + next.value;
        last = next;
    }
    return sum;
}

/// The experts of every token, best first, and its first NaN. Rows carry nobody yet.
ROW_KERNEL plan_choices(SOURCE(scores), int tokens, int experts, const float *bias, int choices, int groups, int groupsKept, int bestOfGroup, float leftOut,
    int *expert, int *fault, int *tokenOfRow, int *choiceOfRow, int planned)
{
    for (int i = (block_x() * ROWS_OF_BLOCK + thread_y()) * LANES + thread_x(); i < planned; i += blocks_x() * ROWS_OF_BLOCK * LANES)
        tokenOfRow[i] = choiceOfRow[i] = -1;
    static SHARED float strengths[ROWS_OF_BLOCK][MOST_GROUPS];
    static SHARED int kept[ROWS_OF_BLOCK][MOST_GROUPS];
    OwnRow own = own_row(tokens, experts);
    float *strength = strengths[thread_y()];
    Numbers numbers = {ROW(scores), bias, kept[thread_y()], experts / groups, leftOut};
    for (int g = own.lane; g < groups; g += LANES)
        strength[g] = groupsKept < groups ? sum_of_best(numbers, g * numbers.perGroup, numbers.perGroup, bestOfGroup) : 0.0f;
    meet();
    for (int g = own.lane; g < groups; g += LANES)
    {
        int stronger = 0;
        for (int h = 0; h < groups; h++) stronger += strength[h] > strength[g] || (strength[h] == strength[g] && h < g);
        kept[thread_y()][g] = stronger < groupsKept;
    }
    meet();

    int nan = NOBODY;
    for (int e = own.lane; e < own.columns; e += LANES)
        if (is_nan(numbers.scores[e]) && e < nan) nan = e;
    #pragma unroll
    for (int distance = 8; distance > 0; distance /= 2)
    {
        int other = int_from_lane_xor(nan, distance);
        nan = other < nan ? other : nan;
    }
    if (own.writes) fault[own.row] = nan == NOBODY ? -1 : nan;

    Ranked last = {__builtin_inff(), -1};
    for (int j = 0; j < choices; j++)
    {
        Ranked best = {0.0f, NOBODY};
        for (int e = own.lane; e < own.columns; e += LANES)
        {
            Ranked one = {numbers.of(e), e};
            if (!is_nan(one.value) && before(last, one) && before(one, best)) best = one;
        }
        best = join_best(best);
        if (best.place != NOBODY) last = best;
        if (own.writes) expert[(i64)j * tokens + own.row] = best.place == NOBODY ? j : best.place;      // nobody: there is a fault
    }
}

/// The slots of one expert in one group of tokens, a warp each: its requests in order, until it is full.
KERNEL THREADS(32 * WARPS_OF_BLOCK) plan_slots(const int *expert, int groups, int size, int experts, int choices, int choiceMajor, int capacity,
    int *slot, int *asked)
{
    int warp = block_x() * WARPS_OF_BLOCK + thread_x() / 32, lane = thread_x() % 32;
    if (warp >= groups * experts) return;
    int group = warp / experts, own = warp % experts, first = group * size, count = size * choices, all = 0, firsts = 0;
    for (int start = 0; start < count; start += 32)
    {
        int n = start + lane;
        int choice = choiceMajor ? n / size : n % choices, token = first + (choiceMajor ? n % size : n / choices);
        int place = choice * (groups * size) + token;
        bool asks = n < count && expert[place] == own;
        u32 who = vote(asks);
        int mine = all + ones(who & lanes_before(lane));
        if (asks) slot[place] = mine < capacity ? mine : -1;
        all += ones(who);
        firsts += ones(vote(asks && choice == 0));
    }
    if (lane == 0)
    {
        asked[warp] = firsts;
        asked[groups * experts + warp] = all;
    }
}

/// The rows of one expert, a warp each: behind those of the experts before it, by token and then by choice.
KERNEL THREADS(32 * WARPS_OF_BLOCK) plan_rows(const int *expert, const int *slot, const int *asked, int groups, int tokens, int experts, int choices,
    int capacity, int *row, int *offsets, int *tokenOfRow, int *choiceOfRow)
{
    int own = block_x() * WARPS_OF_BLOCK + thread_x() / 32, lane = thread_x() % 32;
    if (own >= experts) return;
    int next = 0;
    for (int i = lane; i < own * groups; i += 32)
    {
        int all = asked[(groups + i % groups) * experts + i / groups];
        next += all < capacity ? all : capacity;
    }
    #pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) next += int_from_lane_xor(next, distance);
    if (lane == 0) offsets[own] = next;
    for (int start = 0; start < tokens * choices; start += 32)
    {
        int n = start + lane, token = n / choices, place = n % choices * tokens + token;
        bool asks = n < tokens * choices && expert[place] == own, stays = asks && slot[place] >= 0;
        u32 who = vote(stays);
        int mine = next + ones(who & lanes_before(lane));
        if (asks) row[place] = stays ? mine : -1;
        if (stays)
        {
            tokenOfRow[mine] = token;
            choiceOfRow[mine] = n;
        }
        next += ones(who);
    }
    if (lane == 0 && own == experts - 1) offsets[experts] = next;
}

/// b_e + rate·sign(mean − n_e) in double, rounded once; the rate comes as its bits.
KERNEL move_bias(float *bias, const int *offsets, int experts, i64 bitsOfRate)
{
    int e = block_x() * threads_x() + thread_x();
    if (e >= experts) return;
    double rate = __builtin_bit_cast(double, bitsOfRate);
    i64 all = offsets[experts] - offsets[0], own = (i64)(offsets[e + 1] - offsets[e]) * experts;
    double step = own < all ? rate : own > all ? -rate : 0.0;
    bias[e] = (float)((double)bias[e] + step);
}
