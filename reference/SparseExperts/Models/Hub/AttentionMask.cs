using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>What is added to the scores: 0 where a query sees a key, −∞ where it does not.</summary>
static class AttentionMask
{
    /// <summary>Rows of heads × columns; a sink, where there is one, is one more column that everybody sees.</summary>
    public static Tensor Of(Tape tape, AttentionForm form, HeadLayout layout, HubInputs inputs)
    {
        int length = layout.Length, columns = length + (form.Sinks ? 1 : 0);
        var values = new float[layout.Count * columns];
        for (var r = 0; r < layout.Count; r++)
        {
            var (row, query) = (layout.Token(r) / length, layout.Token(r) % length);
            var first = form.Reach == AttentionReach.Chunked && !form.ChunksFromColumnZero ? inputs.FirstReal(row) : 0;
            var any = false;
            for (var key = 0; key < length; key++)
                if ((key <= query || !form.Causal) && inputs.IsReal(row, key) && Reaches(form, query - first, key - first)) any = true;
                else values[r * columns + key] = float.NegativeInfinity;
            // A query that sees nothing is padding, which nobody reads: it sees itself here.
            if (!any) values[r * columns + query] = 0;
        }
        return tape.PlanConstant(layout.Count, columns, values);
    }

    static bool Reaches(AttentionForm form, int query, int key) => form.Reach switch
    {
        AttentionReach.Full => true,
        AttentionReach.Sliding => query - key < form.Span,
        AttentionReach.Chunked => Math.Floor((double)query / form.Span) == Math.Floor((double)key / form.Span),
        var other => throw new ConfigurationException($"reach of attention {other}: unknown"),
    };
}
