using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>What is added to the scores: 0 where a query sees a key, −∞ where it does not.</summary>
static class AttentionMask
{
    /// <summary>
    /// Scores with their mask [rows of heads, columns]; a sink, where there is one, is one more column that everybody sees. A query that sees no key, as
    /// padding may, has the least number of the format in front of every score, which drowns it: equal scores for all columns, later ones too, whose
    /// gradient flows on.
    /// </summary>
    public static Tensor On(Tape tape, AttentionForm form, HeadLayout layout, HubInputs inputs, Tensor scores, NumberFormat format)
    {
        var (mask, blind) = Of(tape, form, layout, inputs);
        var masked = tape.In(format).Add(scores, mask);
        return blind.Count == 0 ? masked : tape.Add(masked, tape.Constant(Drowning(tape, masked, blind)));
    }

    /// <summary>What makes the scores of some rows 0: themselves, negative, as constants.</summary>
    static Matrix Drowning(Tape tape, Tensor scores, HashSet<int> rows)
    {
        var values = new double[scores.Value.Count];
        tape.ReadForPlan(scores.Value, values);
        for (var i = 0; i < values.Length; i++) values[i] = rows.Contains(i / scores.Columns) ? -values[i] : 0;
        var matrix = tape.Rent(scores.Rows, scores.Columns);
        tape.Backend.Write(matrix, (ReadOnlySpan<double>)values);
        return matrix;
    }

    /// <summary>The mask, and the rows that see no key.</summary>
    static (Tensor Mask, HashSet<int> Blind) Of(Tape tape, AttentionForm form, HeadLayout layout, HubInputs inputs)
    {
        int length = layout.Length, columns = length + (form.Sinks ? 1 : 0);
        var values = new float[layout.Count * columns];
        HashSet<int> blind = [];
        for (var r = 0; r < layout.Count; r++)
        {
            var (row, query) = (layout.Token(r) / length, layout.Token(r) % length);
            var first = form.Reach == AttentionReach.Chunked && !form.ChunksFromColumnZero ? inputs.FirstReal(row) : 0;
            var any = false;
            for (var key = 0; key < length; key++)
                if (key - query <= form.Ahead && inputs.IsReal(row, key) && Reaches(form, query - first, key - first)) any = true;
                else values[r * columns + key] = float.NegativeInfinity;
            if (any || form.Sinks) continue;
            blind.Add(r);
            values.AsSpan(r * columns, columns).Clear();
        }
        return (tape.PlanConstant(layout.Count, columns, values), blind);
    }

    static bool Reaches(AttentionForm form, int query, int key) => form.Reach switch
    {
        AttentionReach.Full => true,
        AttentionReach.Sliding => query - key < form.Span,
        AttentionReach.Chunked => Math.Floor((double)query / form.Span) == Math.Floor((double)key / form.Span),
        var other => throw new ConfigurationException($"reach of attention {other}: unknown"),
    };
}
