#include "rows.h"

// Who goes where, in integers: no order of threads can change them. A warp that goes over choices counts those of its own before each of them by a vote.

enum { MOST_GROUPS = 64, NOBODY = 0x7fffffff, WARPS_OF_BLOCK = 4, RANKED_AT_ONCE = 128 };

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

DEVICE float number_or_least(float x) { return is_nan(x) ? -__builtin_inff() : x; }

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
    int zeroes, int *expert, int *counted, int *fault, int *tokenOfRow, int *choiceOfRow, int planned)
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
    u32 taken = 0;                                                // which experts of this lane, where taken ones stay with the number 0
    for (int j = 0; j < choices; j++)
    {
        Ranked best = {0.0f, NOBODY};
        for (int e = own.lane; e < own.columns; e += LANES)
        {
            Ranked one = {taken >> e / LANES & 1 ? 0.0f : numbers.of(e), e};
            if (!is_nan(one.value) && (zeroes || before(last, one)) && before(one, best)) best = one;
        }
        best = join_best(best);
        if (best.place != NOBODY) last = best;
        int chosen = best.place == NOBODY ? j : best.place;       // nobody: there is a fault
        bool again = false;
        if (zeroes)
        {
            u32 bit = chosen % LANES == own.lane ? 1u << chosen / LANES : 0u;
            again = (vote((taken & bit) != 0) >> (thread_y() % 2 * LANES) & 0xffffu) != 0;
            taken |= bit;
        }
        i64 place = (i64)j * tokens + own.row;
        if (own.writes) expert[place] = chosen;
        if (own.writes && counted != expert) counted[place] = again ? -1 : chosen;
    }
}

enum { EVERY = 0, NO_LATER = 1, ABOVE = 2, ABOVE_DRAW = 3, NOT_BELOW_DRAW = 4 };
enum { NO_DIVISOR = 0, SUM_OR_ONE = 1, SUM_AND_EPSILON = 2, SUM_OR_EPSILON = 3 };

DEVICE double double_of(i64 bits) { return __builtin_bit_cast(double, bits); }

/// Later choices that fail their test make no request. A token's choices are one thread's.
KERNEL plan_requests(int tokens, int choices, SOURCE(scores), SOURCE(draws), const int *counted, int test, i64 factor, i64 threshold, int divisor,
    i64 epsilon, int *expert, int *slot, int *row)
{
    int token = block_x() * threads_x() + thread_x();
    if (token >= tokens) return;
    const float *own = scores + (i64)token * scores_stride;
    double sum = 0.0, least = double_of(epsilon);
    for (int j = 0; j < choices; j++)
    {
        int e = counted[(i64)j * tokens + token];
        sum = sum + (e < 0 ? 0.0 : (double)own[e]);
    }
    double by = divisor == SUM_OR_ONE ? (sum > 0.0 ? sum : 1.0) : divisor == SUM_AND_EPSILON ? sum + least : sum > least ? sum : least;
    for (int j = 1; j < choices; j++)
    {
        i64 place = (i64)j * tokens + token;
        int e = counted[place];
        double gate = e < 0 ? 0.0 : (double)own[e];
        if (divisor != NO_DIVISOR) gate = gate / by;
        double scaled = double_of(factor) * gate, limit = test == ABOVE ? double_of(threshold) : 0.0;
        if (test == ABOVE_DRAW || test == NOT_BELOW_DRAW) scaled = scaled - (double)draws[(i64)token * draws_stride + j];
        bool asks = test == NO_LATER ? false : test == NOT_BELOW_DRAW ? scaled >= limit : scaled > limit;
        if (!asks) expert[place] = slot[place] = row[place] = -1;
    }
}

/// The rank of every token in the column of an expert and group: how many are before it. NaN, which is a fault, ranks as −∞.
KERNEL THREADS(RANKED_AT_ONCE) plan_ranks(SOURCE(scores), int groups, int size, int experts, int *rank)
{
    static SHARED float others[RANKED_AT_ONCE];
    int parts = (size + RANKED_AT_ONCE - 1) / RANKED_AT_ONCE, column = block_x() / parts, lane = thread_x();
    int own = column % experts, first = column / experts * size, mine = block_x() % parts * RANKED_AT_ONCE + lane, count = 0;
    const float *numbers = scores + (i64)first * scores_stride + own;
    Ranked here = {0.0f, mine};
    if (mine < size) here.value = number_or_least(numbers[(i64)mine * scores_stride]);
    for (int start = 0; start < size; start += RANKED_AT_ONCE)
    {
        int rest = size - start < RANKED_AT_ONCE ? size - start : RANKED_AT_ONCE;
        meet();
        if (lane < rest) others[lane] = number_or_least(numbers[(i64)(start + lane) * scores_stride]);
        meet();
        for (int i = 0; i < rest; i++)
        {
            Ranked other = {others[i], start + i};
            count += before(other, here);
        }
    }
    if (mine < size) rank[(i64)own * groups * size + first + mine] = count;
}

/// From the ranks of an expert's column in one group to rows and slots, a warp each: both lie at (expert, token), the row −1 where the token is not taken.
KERNEL THREADS(32 * WARPS_OF_BLOCK) plan_served(int groups, int size, int experts, int capacity, int slotsByToken, int *slot, int *row, int *offsets,
    int *asked)
{
    int warp = block_x() * WARPS_OF_BLOCK + thread_x() / 32, lane = thread_x() % 32;
    if (warp >= groups * experts) return;
    int group = warp / experts, own = warp % experts, taken = 0;
    for (int start = 0; start < size; start += 32)
    {
        int n = start + lane;
        i64 place = ((i64)own * groups + group) * size + n;
        bool takes = n < size && slot[place] < capacity;
        u32 who = vote(takes);
        int mine = taken + ones(who & lanes_before(lane));
        if (n < size) row[place] = takes ? (own * groups + group) * capacity + mine : -1;
        if (takes && slotsByToken) slot[place] = mine;
        taken += ones(who);
    }
    if (lane == 0)
    {
        asked[groups * experts + warp] = taken;
        if (group == 0) offsets[own] = own * groups * capacity;
        if (warp == 0) offsets[experts] = experts * groups * capacity;
    }
}

/// The experts that took a token, in ascending order, a thread each; and its first NaN. Expert e's entries stand where choice e's will, so that none is
/// written before it is read.
KERNEL plan_takers(SOURCE(scores), int tokens, int experts, int *expert, int *slot, int *row, int *fault, int *tokenOfRow, int *choiceOfRow)
{
    int token = block_x() * threads_x() + thread_x();
    if (token >= tokens) return;
    int nan = -1, choices = 0;
    for (int e = 0; e < experts; e++)
    {
        if (nan < 0 && is_nan(scores[(i64)token * scores_stride + e])) nan = e;
        i64 from = (i64)e * tokens + token, to = (i64)choices * tokens + token;
        int taken = row[from], place = slot[from];
        if (taken < 0) continue;
        expert[to] = e;
        slot[to] = place;
        row[to] = taken;
        tokenOfRow[taken] = token;
        choiceOfRow[taken] = token * experts + choices;
        choices++;
    }
    for (; choices < experts; choices++)
    {
        i64 to = (i64)choices * tokens + token;
        expert[to] = slot[to] = row[to] = -1;
    }
    fault[token] = nan;
}

/// How many tokens of a group an expert is the first choice of, a warp each.
KERNEL THREADS(32 * WARPS_OF_BLOCK) plan_firsts(int groups, int size, int experts, const int *expert, int *asked)
{
    int warp = block_x() * WARPS_OF_BLOCK + thread_x() / 32, lane = thread_x() % 32;
    if (warp >= groups * experts) return;
    int firsts = 0;
    for (int start = 0; start < size; start += 32)
    {
        int n = start + lane;
        firsts += ones(vote(n < size && expert[warp / experts * size + n] == warp % experts));
    }
    if (lane == 0) asked[warp] = firsts;
}

/// Turns of a warp that are read before the first is counted, so that their reads are under way together.
#define TURNS 8
#define EACH_TURN_OF(i) _Pragma("unroll") for (int i = 0; i < TURNS; i++)

/// Warps of a block at most that share an expert's requests: consecutive ones are a warp's. Each counts its own, and then goes on from those before it.
enum { MOST_SHARERS = 16 };

struct Share
{
    int first, end, lane, warp, warps;
};

DEVICE Share own_share(int count)
{
    int warps = threads_x() / 32, warp = thread_x() / 32, each = (count + 32 * warps - 1) / (32 * warps) * 32;
    int first = warp * each;
    return {first, first + each < count ? first + each : count, thread_x() % 32, warp, warps};
}

DEVICE int sum_of(const int *counts, int warps)
{
    int sum = 0;
    for (int i = 0; i < warps; i++) sum += counts[i];
    return sum;
}

/// The slots of one expert in one group of tokens, a block each: its requests in order, until it is full.
KERNEL THREADS(32 * MOST_SHARERS) plan_slots(const int *expert, int groups, int size, int experts, int choices, int choiceMajor, int capacity,
    int *slot, int *asked)
{
    static SHARED int all[MOST_SHARERS], firsts[MOST_SHARERS];
    int group = block_x() / experts, own = block_x() % experts, tokens = groups * size;
    Share share = own_share(size * choices);
    auto each_request = [=](auto use)
    {
        for (int start = share.first; start < share.end; start += 32 * TURNS)
        {
            int place[TURNS], wanted[TURNS];
            EACH_TURN_OF(i)
            {
                int n = start + 32 * i + share.lane, choice = choiceMajor ? n / size : n % choices, token = choiceMajor ? n % size : n / choices;
                place[i] = choice * tokens + group * size + token;
                wanted[i] = n < share.end ? expert[place[i]] : -1;
            }
            EACH_TURN_OF(i) use(place[i], wanted[i] == own);
        }
    };
    int mine = 0, mineFirst = 0;
    each_request([&](int place, bool asks)
    {
        mine += ones(vote(asks));
        mineFirst += ones(vote(asks && place < tokens));
    });
    if (share.lane == 0)
    {
        all[share.warp] = mine;
        firsts[share.warp] = mineFirst;
    }
    meet();
    int next = sum_of(all, share.warp);
    each_request([&](int place, bool asks)
    {
        u32 who = vote(asks);
        int here = next + ones(who & lanes_before(share.lane));
        if (asks) slot[place] = here < capacity ? here : -1;
        next += ones(who);
    });
    if (thread_x() > 0) return;
    asked[block_x()] = sum_of(firsts, share.warps);
    asked[groups * experts + block_x()] = sum_of(all, share.warps);
}

/// The rows of one expert, a block each: behind those of the experts before it, by token and then by choice.
KERNEL THREADS(32 * MOST_SHARERS) plan_rows(const int *expert, const int *slot, const int *asked, int groups, int tokens, int experts, int choices,
    int capacity, int *row, int *offsets, int *tokenOfRow, int *choiceOfRow)
{
    static SHARED int kept[MOST_SHARERS];
    int own = block_x();
    Share share = own_share(tokens * choices);
    auto each_request = [=](auto use)
    {
        for (int start = share.first; start < share.end; start += 32 * TURNS)
        {
            int place[TURNS], taken[TURNS];
            bool asks[TURNS];
            EACH_TURN_OF(i)
            {
                int n = start + 32 * i + share.lane;
                place[i] = n % choices * tokens + n / choices;
                asks[i] = n < share.end && expert[place[i]] == own;
            }
            EACH_TURN_OF(i) taken[i] = asks[i] ? slot[place[i]] : -1;
            EACH_TURN_OF(i) use(start + 32 * i + share.lane, place[i], asks[i], taken[i] >= 0);
        }
    };
    int mine = 0;
    each_request([&](int, int, bool, bool stays) { mine += ones(vote(stays)); });
    if (share.lane == 0) kept[share.warp] = mine;
    int next = 0;
    for (int i = share.lane; i < own * groups; i += 32)
    {
        int all = asked[(groups + i % groups) * experts + i / groups];
        next += all < capacity ? all : capacity;
    }
    #pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) next += int_from_lane_xor(next, distance);
    if (thread_x() == 0) offsets[own] = next;
    meet();
    if (thread_x() == 0 && own == experts - 1) offsets[experts] = next + sum_of(kept, share.warps);
    next += sum_of(kept, share.warp);
    each_request([&](int n, int place, bool asks, bool stays)
    {
        u32 who = vote(stays);
        int here = next + ones(who & lanes_before(share.lane));
        if (asks) row[place] = stays ? here : -1;
        if (stays)
        {
            tokenOfRow[here] = n / choices;
            choiceOfRow[here] = n;
        }
        next += ones(who);
    });
}

/// b_e + rate·sign(mean − n_e) in double, rounded once; the rate comes as its bits; a step that is left out moves nothing.
KERNEL move_bias(float *bias, const int *offsets, int experts, i64 bitsOfRate, const float *factor)
{
    int e = block_x() * threads_x() + thread_x();
    if (e >= experts || is_left_out(factor)) return;
    double rate = __builtin_bit_cast(double, bitsOfRate);
    i64 all = offsets[experts] - offsets[0], own = (i64)(offsets[e + 1] - offsets[e]) * experts;
    double step = own < all ? rate : own > all ? -rate : 0.0;
    bias[e] = (float)((double)bias[e] + step);
}
