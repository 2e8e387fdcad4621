using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Hub;

/// <summary>Gate and up as somebody finds them who takes their packed columns otherwise than they are stored.</summary>
static class PackedColumns
{
    /// <summary>Stored in turns, taken in halves: column c of the two halves is stored column c.</summary>
    public static ExpertWeights Halved(Tape tape, ExpertWeights e) => Split(tape, e, (column, _) => (column % 2 == 1, column / 2));

    /// <summary>Stored in halves, taken in turns.</summary>
    public static ExpertWeights TakenInTurns(Tape tape, ExpertWeights e) => Split(tape, e, (column, f) =>
    {
        var stored = column < f ? 2 * column : 2 * (column - f) + 1;
        return (stored >= f, stored % f);
    });

    /// <param name="place">For a column of 2F as it is taken, gate first: whether up has it, and which column it is there.</param>
    static ExpertWeights Split(Tape tape, ExpertWeights e, Func<int, int, (bool IsUp, int Column)> place)
    {
        Tensor Taken(Tensor gate, Tensor up, bool wantsUp)
        {
            var f = gate.Columns;
            int Id(int i, bool fromUp)
            {
                var (isUp, column) = place(i % f + (wantsUp ? f : 0), f);
                return isUp == fromUp ? i / f * f + column : -1;
            }
            int[] Ids(bool fromUp) => [.. Enumerable.Range(0, gate.Rows * f).Select(i => Id(i, fromUp))];
            return tape.Add(tape.GatherElements(gate, Ids(false), gate.Rows, f), tape.GatherElements(up, Ids(true), gate.Rows, f));
        }
        return e with
        {
            WiGate = Taken(e.WiGate!, e.Wi, false),
            Wi = Taken(e.WiGate!, e.Wi, true),
            BiGate = e is { BiGate: { } gate, Bi: { } up } ? Taken(gate, up, false) : null,
            Bi = e is { BiGate: { } gateToo, Bi: { } upToo } ? Taken(gateToo, upToo, true) : null,
        };
    }
}
