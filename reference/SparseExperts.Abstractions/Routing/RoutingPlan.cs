using System.Text;

namespace SparseExperts;

/// <summary>
/// Who goes where, in integers. T tokens in G groups make K choices among E experts; a choice gets a slot below the capacity C of its
/// (group, expert) or is dropped. Rows of the dispatched matrix are ordered by expert, then group, then slot.
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
        var perGroup = Tokens / Math.Max(1, groups);

        // Rows of (expert, group): as many as its largest slot asks for; then starts; then each kept choice takes start + slot.
        var starts = new int[experts * groups + 1];
        for (var i = 0; i < expert.Length; i++)
        {
            if (slot[i] == Dropped) continue;
            ref var rows = ref starts[expert[i] * groups + i / choices / perGroup + 1];
            rows = Math.Max(rows, slot[i] + 1);
        }
        for (var i = 0; i < experts * groups; i++) starts[i + 1] += starts[i];
        Offsets = new int[experts + 1];
        for (var e = 0; e <= experts; e++) Offsets[e] = starts[e * groups];
        Rows = starts[^1];
        ChoiceOfRow = new int[Rows];
        TokenOfRow = new int[Rows];
        Array.Fill(ChoiceOfRow, -1);
        Array.Fill(TokenOfRow, -1);
        RowOf = new int[expert.Length];
        for (var i = 0; i < expert.Length; i++)
        {
            var row = RowOf[i] = slot[i] == Dropped ? Dropped : starts[expert[i] * groups + i / choices / perGroup] + slot[i];
            if (row == Dropped) continue;
            Kept++;
            SharesSlots |= ChoiceOfRow[row] >= 0;
            ChoiceOfRow[row] = i;
            TokenOfRow[row] = i / choices;
        }
    }

    public int Experts { get; }
    public int Groups { get; }
    public int Choices { get; }
    public int Capacity { get; }
    public int Tokens { get; }

    /// <summary>Rows of the dispatched matrix: the kept choices, and slots that stay empty below a taken one.</summary>
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

    /// <summary>The token that a row carries, −1 for an empty slot.</summary>
    public int[] TokenOfRow { get; }

    /// <summary>The choice, token·K + choice, that a row carries; −1 for an empty slot.</summary>
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
