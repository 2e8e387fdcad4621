using System.Buffers;

namespace SparseExperts.Scalar;

/// <summary>
/// An array of reals, integers or numbers of two bytes, lent by the runtime's pool: what is in it at first is arbitrary. An arithmetic that carries bounds
/// keeps its narrow numbers as reals, rounded, with the bounds.
/// </summary>
sealed class ScalarStorage<T>(IBackend owner, ElementType type, long length) : Storage(owner, type, length) where T : struct, IReal<T>
{
    static bool KeepsBounds => typeof(T) == typeof(Tracked);

    public T[] Reals { get; private set; } =
        type == ElementType.Real || (type.IsNarrow() && KeepsBounds) ? ArrayPool<T>.Shared.Rent(checked((int)length)) : [];

    public ushort[] Narrow { get; private set; } = type.IsNarrow() && !KeepsBounds ? ArrayPool<ushort>.Shared.Rent(checked((int)length)) : [];

    /// <summary>The number at a place, whatever its format; what is written is rounded once.</summary>
    public T this[long place]
    {
        get => Narrow.Length > 0 ? T.Of(SparseExperts.Narrow.Value(Type, Narrow[place])) : Reals[place];
        set
        {
            if (Narrow.Length > 0) Narrow[place] = SparseExperts.Narrow.Bits(Type, value.Value);
            else Reals[place] = Type.IsNarrow() ? T.Round(Type.Format(), value) : value;
        }
    }
    /// <summary>A number of the host, rounded once.</summary>
    public void Write(long place, double value)
    {
        if (Narrow.Length > 0) Narrow[place] = SparseExperts.Narrow.Bits(Type, value);
        else Reals[place] = T.Of(Type.IsNarrow() ? Rounding.To(Type.Format(), value) : value);
    }

    public int[] Integers { get; private set; } = type == ElementType.Integer ? ArrayPool<int>.Shared.Rent(checked((int)length)) : [];

    /// <summary>Gives the array back; who still uses this storage fails on the first element.</summary>
    public void Release()
    {
        if (Reals.Length > 0) ArrayPool<T>.Shared.Return(Reals);
        if (Narrow.Length > 0) ArrayPool<ushort>.Shared.Return(Narrow);
        if (Integers.Length > 0) ArrayPool<int>.Shared.Return(Integers);
        (Reals, Narrow, Integers) = ([], [], []);
    }
}

/// <summary>Element access for the definitions: <c>view[row, column]</c>.</summary>
readonly ref struct View<T>(Matrix matrix) where T : struct, IReal<T>
{
    readonly T[] _values = ((ScalarStorage<T>)matrix.Storage).Reals;
    public readonly int Rows = matrix.Rows, Columns = matrix.Columns;
    public ref T this[int row, int column] => ref _values[matrix.Offset + (long)row * matrix.Stride + column];
}

/// <summary>The same for a matrix of any format.</summary>
readonly ref struct AnyView<T>(Matrix matrix) where T : struct, IReal<T>
{
    readonly ScalarStorage<T> _storage = (ScalarStorage<T>)matrix.Storage;
    public T this[int row, int column]
    {
        get => _storage[matrix.Offset + (long)row * matrix.Stride + column];
        set => _storage[matrix.Offset + (long)row * matrix.Stride + column] = value;
    }
}

/// <summary>
/// The canonical sum along a row: lane l of 16 takes elements l, l + 16, …; then lanes l and l + 8 are joined, l and l + 4, l and
/// l + 2, and the last two.
/// </summary>
readonly struct Lanes<T> where T : struct, IReal<T>
{
    readonly T[] _sums = new T[16];

    public Lanes() => Array.Fill(_sums, T.Of(0));
    public void Add(int index, T value) => _sums[index % 16] += value;
    public void AddProduct(int index, T a, T b) => _sums[index % 16] = T.Fma(a, b, _sums[index % 16]);

    public T Join()
    {
        for (var width = 8; width > 0; width /= 2)
            for (var lane = 0; lane < width; lane++) _sums[lane] += _sums[lane + width];
        return _sums[0];
    }
}

/// <summary>
/// The canonical sum over tokens (<see cref="SumTree"/>): partial sums on a stack, of which the two topmost are joined when both halves are there.
/// </summary>
struct Partials<T>(SumTree tree) where T : struct, IReal<T>
{
    readonly T[] _sums = new T[tree.Height];
    int _count;

    /// <summary>The chain of the next block, and how many halves are complete with it.</summary>
    public void Push(T chain, int joins)
    {
        _sums[_count++] = chain;
        for (; joins > 0; joins--) _sums[--_count - 1] += _sums[_count];
    }

    /// <summary>The sum of all blocks; 0 if there is none.</summary>
    public readonly T Total => _count == 0 ? T.Of(0) : _sums[0];
}
