using System.Runtime.CompilerServices;

namespace SparseExperts;

/// <summary>Whose memory it is, what it holds, whether a view lies inside. An operand is called what the caller calls it.</summary>
public static partial class Check
{
    /// <summary>The view belongs to <paramref name="backend"/>, holds reals and lies inside its storage.</summary>
    public static void Owned(IBackend backend, string op, Matrix a, [CallerArgumentExpression(nameof(a))] string nameA = "")
    {
        Stored(backend, op, a);
        if (a.Type != ElementType.Real) throw new ShapeException($"{op}: {nameA} holds {a.Type}, the op takes Real; Cast it to a matrix of Real first");
    }

    public static void Owned(IBackend backend, string op, Matrix a, Matrix b,
        [CallerArgumentExpression(nameof(a))] string nameA = "", [CallerArgumentExpression(nameof(b))] string nameB = "")
    {
        Owned(backend, op, a, nameA);
        Owned(backend, op, b, nameB);
    }

    public static void Owned(IBackend backend, string op, Matrix a, Matrix b, Matrix c,
        [CallerArgumentExpression(nameof(a))] string nameA = "", [CallerArgumentExpression(nameof(b))] string nameB = "",
        [CallerArgumentExpression(nameof(c))] string nameC = "")
    {
        Owned(backend, op, a, b, nameA, nameB);
        Owned(backend, op, c, nameC);
    }

    public static void Owned(IBackend backend, string op, Matrix a, Matrix b, Matrix c, Matrix d,
        [CallerArgumentExpression(nameof(a))] string nameA = "", [CallerArgumentExpression(nameof(b))] string nameB = "",
        [CallerArgumentExpression(nameof(c))] string nameC = "", [CallerArgumentExpression(nameof(d))] string nameD = "")
    {
        Owned(backend, op, a, b, nameA, nameB);
        Owned(backend, op, c, d, nameC, nameD);
    }

    public static void Owned(IBackend backend, string op, Matrix a, Matrix b, Matrix c, Matrix d, Matrix e,
        [CallerArgumentExpression(nameof(a))] string nameA = "", [CallerArgumentExpression(nameof(b))] string nameB = "",
        [CallerArgumentExpression(nameof(c))] string nameC = "", [CallerArgumentExpression(nameof(d))] string nameD = "",
        [CallerArgumentExpression(nameof(e))] string nameE = "")
    {
        Owned(backend, op, a, b, c, nameA, nameB, nameC);
        Owned(backend, op, d, e, nameD, nameE);
    }

    /// <summary>The view belongs to <paramref name="backend"/>, holds numbers of whatever format and lies inside its storage.</summary>
    public static void Stored(IBackend backend, string op, Matrix view)
    {
        if (view.Storage is null) throw new ShapeException($"{op}: an argument is missing; rent a matrix from '{backend.Info.Name}'");
        if (!ReferenceEquals(view.Storage.Owner, backend))
            throw new ShapeException($"{op}: a matrix belongs to '{view.Storage.Owner.Info.Name}', "
                + $"the op ran on '{backend.Info.Name}'; write its values there first");
        if (view.Type == ElementType.Integer) throw new ShapeException($"{op}: a matrix views integers; rent it with ElementType.Real");
        if (view.Rows < 0 || view.Columns < 0 || view.Offset < 0 || (view.Rows > 1 && view.Stride < view.Columns) ||
            (view.Count > 0 && view.Offset + (long)(view.Rows - 1) * view.Stride + view.Columns > view.Storage.Length))
            throw new ShapeException($"{op}: a {view.Shape} view at {view.Offset} with stride {view.Stride} "
                + $"leaves its storage of {view.Storage.Length}; shrink the view");
    }

    /// <summary>Two views of the same format, for ops that move numbers and do not look at them.</summary>
    public static void Alike(IBackend backend, string op, Matrix from, Matrix to,
        [CallerArgumentExpression(nameof(from))] string nameFrom = "", [CallerArgumentExpression(nameof(to))] string nameTo = "")
    {
        Stored(backend, op, from);
        Stored(backend, op, to);
        if (from.Type != to.Type)
            throw new ShapeException($"{op}: {nameFrom} holds {from.Type}, {nameTo} holds {to.Type}; Cast moves numbers from a format to another");
    }

    public static void Copy(IBackend backend, Matrix from, Matrix to)
    {
        Alike(backend, "Copy", from, to);
        Same("Copy", "from", from, "to", to);
    }

    public static void Cast(IBackend backend, Matrix x, Matrix y)
    {
        Stored(backend, "Cast", x);
        Stored(backend, "Cast", y);
        Same("Cast", "X", x, "Y", y);
    }

    public static void GatherRows(IBackend backend, Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        const string op = "GatherRows";
        Alike(backend, op, x, y);
        if (accumulate) Owned(backend, op, y);
        Owned(backend, op, rows, y.Rows);
        if (x.Columns != y.Columns) throw new ShapeException($"{op}: X is {x.Shape}, Y is {y.Shape}; give both the same columns");
    }
}
