using System.Text;

namespace SparseExperts;

/// <summary>
/// Who goes where, in integers. T tokens in G groups make K choices among E experts; a choice gets a slot below the capacity C of its
/// (group, expert) or is dropped. Rows of the dispatched matrix are the kept choices, ordered by expert and then by token, so that an expert's
/// sums over its rows do not depend on who was served first; where choices share a slot, its row is theirs together, by expert, group and slot.
/// </summary>
public sealed class RoutingPlan
{
    public const int Dropped = -1;

    /// <summary>The capacity of a plan that drops nothing.</summary>
    public const int Unlimited = int.MaxValue;

    /// <param name="experts">Number of experts E.</param>
    /// <param name="groups">Number of groups G; token t belongs to group t / (T/G).</param>
    /// <param name="choices">Choices a token K.</param>
    /// <param name="capacity">Slots C of an expert in one group, or <see cref="Unlimited"/>.</param>
    /// <param name="expert">Chosen expert [T·K], also where dropped; −1 where the token makes no choice (padding).</param>
    /// <param name="slot">Slot [T·K], or <see cref="Dropped"/>.</param>
    public RoutingPlan(int experts, int groups, int choices, int capacity, int[] expert, int[] slot)
    {
        (Experts, Groups, Choices, Capacity, Expert, Slot) = (experts, groups, choices, capacity, expert, slot);
        Tokens = expert.Length / choices;
        RowOf = new int[expert.Length];
        Array.Fill(RowOf, Dropped);
        Offsets = new int[experts + 1];
        Rows = RowsOfSlots();
        var taken = new bool[Rows];
        foreach (var row in RowOf)
        {
            if (row == Dropped) continue;
            Kept++;
            SharesSlots |= taken[row];
            taken[row] = true;
        }
        if (!SharesSlots) Rows = RowsOfChoices();
        ChoiceOfRow = new int[Rows];
        TokenOfRow = new int[Rows];
        Array.Fill(ChoiceOfRow, -1);
        Array.Fill(TokenOfRow, -1);
        for (var i = 0; i < expert.Length; i++)
            if (RowOf[i] != Dropped) (ChoiceOfRow[RowOf[i]], TokenOfRow[RowOf[i]]) = (i, i / choices);
    }

    int GroupOf(int choice) => choice / Choices / (Tokens / Math.Max(1, Groups));

    /// <summary>A row for every kept choice.</summary>
    int RowsOfChoices()
    {
        Array.Clear(Offsets);
        for (var i = 0; i < Expert.Length; i++)
            if (Slot[i] != Dropped) Offsets[Expert[i] + 1]++;
        for (var e = 0; e < Experts; e++) Offsets[e + 1] += Offsets[e];
        var next = Offsets[..^1];
        for (var i = 0; i < Expert.Length; i++)
            if (Slot[i] != Dropped) RowOf[i] = next[Expert[i]]++;
        return Offsets[^1];
    }

    /// <summary>A row for every slot of a (expert, group) up to its largest taken one.</summary>
    int RowsOfSlots()
    {
        var starts = new int[Experts * Groups + 1];
        for (var i = 0; i < Expert.Length; i++)
        {
            if (Slot[i] == Dropped) continue;
            ref var rows = ref starts[Expert[i] * Groups + GroupOf(i) + 1];
            rows = Math.Max(rows, Slot[i] + 1);
        }
        for (var i = 0; i < Experts * Groups; i++) starts[i + 1] += starts[i];
        for (var e = 0; e <= Experts; e++) Offsets[e] = starts[e * Groups];
        for (var i = 0; i < Expert.Length; i++)
            if (Slot[i] != Dropped) RowOf[i] = starts[Expert[i] * Groups + GroupOf(i)] + Slot[i];
        return starts[^1];
    }

    public int Experts { get; }
    public int Groups { get; }
    public int Choices { get; }
    public int Capacity { get; }
    public int Tokens { get; }

    /// <summary>Rows of the dispatched matrix.</summary>
    public int Rows { get; }

    /// <summary>Choices with a slot.</summary>
    public int Kept { get; }

    /// <summary>Two choices meet in one slot. No correct router does that; some libraries do.</summary>
    public bool SharesSlots { get; }

    /// <summary>Chosen expert of (token, choice), at token·K + choice; −1 where none.</summary>
    public int[] Expert { get; }

    /// <summary>Slot of (token, choice) within its (group, expert), or <see cref="Dropped"/>.</summary>
    public int[] Slot { get; }

    /// <summary>Rows of expert e are Offsets[e] … Offsets[e + 1] − 1.</summary>
    public int[] Offsets { get; }

    /// <summary>The token that a row carries, the last of those that share it; −1 for an empty slot below a shared one.</summary>
    public int[] TokenOfRow { get; }

    /// <summary>The choice, token·K + choice, that a row carries, likewise.</summary>
    public int[] ChoiceOfRow { get; }

    /// <summary>The row of (token, choice), or <see cref="Dropped"/>.</summary>
    public int[] RowOf { get; }

    /// <summary>Choices made: T·K less those of padding.</summary>
    public int ChoicesMade => Expert.Count(e => e >= 0);

    /// <summary>Share of choices without a slot.</summary>
    public double DropRate => ChoicesMade is var made and > 0 ? 1 - (double)Kept / made : 0;

    /// <summary>Share of all choices that each expert was asked to take, dropped ones included.</summary>
    public double[] Load()
    {
        var load = new double[Experts];
        foreach (var e in Expert)
            if (e >= 0) load[e]++;
        var made = Math.Max(1, ChoicesMade);
        return [.. load.Select(n => n / made)];
    }

    /// <summary>A table for checking by hand: one line a token, <c>expert:slot</c> for every choice, × where dropped, – where none was made.</summary>
    public string Describe()
    {
        var text = new StringBuilder($"T={Tokens} E={Experts} K={Choices} G={Groups} C={(Capacity == Unlimited ? "∞" : Capacity)} rows={Rows}\n");
        var perGroup = Tokens / Math.Max(1, Groups);
        for (var t = 0; t < Tokens; t++)
        {
            if (Groups > 1 && t % perGroup == 0) text.Append($"group {t / perGroup}\n");
            text.Append($"  token {t}:");
            for (var k = 0; k < Choices; k++)
            {
                int i = t * Choices + k;
                text.Append(Expert[i] < 0 ? " –" : Slot[i] == Dropped ? $" {Expert[i]}:×" : $" {Expert[i]}:{Slot[i]}");
            }
            text.Append('\n');
        }
        return text.ToString();
    }
}
