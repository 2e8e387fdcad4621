using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>What is added to the scores: 0 where a query sees a key, −∞ where it does not.</summary>
static class AttentionMask
{
    /// <summary>
    /// Scores with their mask [rows of heads, columns]; a sink, where there is one, is a first column that everybody sees. A query that sees no key, as
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
        int length = layout.Length, keys = inputs.Keys, before = form.Sinks ? 1 : 0, columns = before + keys;
        var values = new float[layout.Count * columns];
        HashSet<int> blind = [];
        for (var r = 0; r < layout.Count; r++)
        {
            var (row, query) = (layout.Token(r) / length, layout.Token(r) % length);
            var any = false;
            for (var key = 0; key < keys; key++)
                if (Sees(form, inputs, row, query, key)) any = true;
                else values[r * columns + before + key] = float.NegativeInfinity;
            if (any || form.Sinks) continue;
            blind.Add(r);
            values.AsSpan(r * columns, columns).Clear();
        }
        return (tape.PlanConstant(layout.Count, columns, values), blind);
    }

    /// <summary>
    /// The same for the op on heads side by side: what its shape says, and for what that cannot say a mask, a row a sequence where it is padding alone.
    /// </summary>
    public static (AttentionShape Shape, Matrix? Pad) Of(Tape tape, AttentionForm form, HubInputs inputs)
    {
        var (rows, length, keys) = (inputs.Rows, inputs.Length, inputs.Keys);
        var isOrdinary = form.Ahead == 0 && form.Reach != AttentionReach.Chunked;
        var shape = AttentionShape.OfSelf(rows, length, form.Heads, form.HeadWidth, form.Scale, isOrdinary) with
        {
            Keys = keys,
            KeyHeads = form.KeysTakeTurns ? form.Heads : form.KeyHeads,
            ValueWidth = form.ValueWidth,
            Window = isOrdinary && form.Reach == AttentionReach.Sliding ? form.Span : 0,
            BlindSeesAll = !isOrdinary || inputs.Mask.Contains(0),
        };
        if (!shape.BlindSeesAll) return (shape, null);
        var each = isOrdinary ? 1 : length;
        var values = new float[rows * each * keys];
        for (var i = 0; i < values.Length; i++)
        {
            var (line, key) = (i / keys, i % keys);
            var sees = isOrdinary ? inputs.IsReal(line, key) : Sees(form, inputs, line / length, line % length, key);
            values[i] = sees ? 0 : float.NegativeInfinity;
        }
        return (shape, tape.PlanConstant(rows * each, keys, values).Value);
    }

    /// <param name="query">Its column among the inputs.</param>
    static bool Sees(AttentionForm form, HubInputs inputs, int row, int query, int key)
    {
        query += inputs.Before;
        var first = form.Reach == AttentionReach.Chunked && !form.ChunksFromColumnZero ? inputs.FirstReal(row) : 0;
        return key - query <= form.Ahead && inputs.IsReal(row, key) && Reaches(form, query - first, key - first);
    }

    static bool Reaches(AttentionForm form, int query, int key) => form.Reach switch
    {
        AttentionReach.Full => true,
        AttentionReach.Sliding => query - key < form.Span,
        AttentionReach.Chunked => Math.Floor((double)query / form.Span) == Math.Floor((double)key / form.Span),
        var other => throw new ConfigurationException($"reach of attention {other}: unknown"),
    };
}
