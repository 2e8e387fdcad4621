using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>
/// From tokens to rows of heads and back. Rows of heads are (row, head, column) with one head's numbers each, so that a head's queries lie below each other
/// and meet its keys as a group of one product.
/// </summary>
/// <param name="TakesTurns">Query head h meets key head h mod key heads; else heads of one key lie side by side.</param>
readonly record struct HeadLayout(int Rows, int Length, int Heads, bool TakesTurns = false)
{
    public int Count => Rows * Length * Heads;
    int Tokens => Rows * Length;

    /// <summary>Token of a row of heads.</summary>
    public int Token(int row) => row / (Heads * Length) * Length + row % Length;
    public int Head(int row) => row / Length % Heads;

    int KeyHead(int head, int keyHeads) => TakesTurns ? head % keyHeads : head / (Heads / keyHeads);

    /// <summary>Columns of a projection [T, …] as rows of heads [count, width]; −1 reads 0.</summary>
    /// <param name="column">The projection's column of a head's i-th number.</param>
    public Tensor Take(Tape tape, Tensor x, int width, Func<int, int, int> column)
    {
        var ids = new int[Count * width];
        for (var r = 0; r < Count; r++)
            for (var i = 0; i < width; i++)
            {
                var at = column(Head(r), i);
                ids[r * width + i] = at < 0 ? -1 : Token(r) * x.Columns + at;
            }
        return tape.GatherElements(x, ids, Count, width, 0);
    }

    /// <summary>Rows of heads as tokens [T, heads·width].</summary>
    public Tensor Back(Tape tape, Tensor x)
    {
        int width = x.Columns, columns = Heads * width;
        var ids = new int[Tokens * columns];
        for (var t = 0; t < Tokens; t++)
            for (var c = 0; c < columns; c++)
            {
                var row = (t / Length * Heads + c / width) * Length + t % Length;
                ids[t * columns + c] = row * width + c % width;
            }
        return tape.GatherElements(x, ids, Tokens, columns, Length);
    }

    /// <summary>Keys of every query head, turned: group (row, head) has [width, length], so that queries times it are scores.</summary>
    /// <param name="keys">Rows of <paramref name="keyHeads"/> heads.</param>
    public Tensor Turned(Tape tape, Tensor keys, int keyHeads)
    {
        var width = keys.Columns;
        var ids = new int[Rows * Heads * width * Length];
        var next = 0;
        for (var group = 0; group < Rows * Heads; group++)
            for (var i = 0; i < width; i++)
                for (var s = 0; s < Length; s++)
                {
                    var row = (group / Heads * keyHeads + KeyHead(group % Heads, keyHeads)) * Length + s;
                    ids[next++] = row * width + i;
                }
        return tape.GatherElements(keys, ids, Rows * Heads * width, Length, 0);
    }

    /// <summary>Values of every query head: group (row, head) has [length, width].</summary>
    public Tensor Repeated(Tape tape, Tensor values, int keyHeads)
    {
        if (keyHeads == Heads) return values;
        var ids = new int[Count];
        for (var r = 0; r < ids.Length; r++) ids[r] = (r / (Heads * Length) * keyHeads + KeyHead(Head(r), keyHeads)) * Length + r % Length;
        return tape.GatherRows(values, tape.UploadPlan(ids));
    }

    /// <summary>Where the rows of every (row, head) lie.</summary>
    public int[] Offsets
    {
        get
        {
            var length = Length;
            return [.. Enumerable.Range(0, Rows * Heads + 1).Select(g => g * length)];
        }
    }
}
