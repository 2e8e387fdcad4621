using System.Runtime.InteropServices;
using SparseExperts.Scalar;

namespace SparseExperts.Conformance.Reordered;

/// <summary>A term of a sum: a product that is yet to be rounded, or a number times 1.</summary>
public readonly record struct Term(float A, float B)
{
    public float Rounded => A * B;
    public float AddedTo(float sum) => MathF.FusedMultiplyAdd(A, B, sum);
}

/// <summary>How the terms of a sum are added.</summary>
public delegate float SumOrder(ReadOnlySpan<Term> terms);

/// <summary>The terms of sums that began alike. The last sum that was asked for is kept: a factor of many products is asked for as often.</summary>
sealed class TermList : List<Term>
{
    (int Count, float Sum) _last;

    /// <summary>The sum of the first so many terms, if it is the last that was taken.</summary>
    public float? Known(int count) => _last.Count == count ? _last.Sum : null;

    public float Keep(int count, float sum) => (_last = (count, sum)).Sum;
}

/// <summary>
/// float32 in which additions wait: a number is the list of its terms until something other than addition uses it, and only then they are added,
/// in <see cref="Order"/>. So every sum of every op of <see cref="ScalarBackend{T}"/> is taken in that order.
/// </summary>
public readonly struct Reordered : IReal<Reordered>
{
    // A list may be shared by sums that go on differently; each knows how many of its terms are its own.
    readonly TermList? _terms;
    readonly int _count;
    readonly float _only;

    Reordered(float only) => _only = only;
    Reordered(TermList terms) => (_terms, _count) = (terms, terms.Count);

    /// <summary>The order of this thread's sums: all by turns, unless a test wants one. One type for all orders is compiled once.</summary>
    public static SumOrder Order
    {
        get => t_order ?? Orders.ByTurns;
        set => t_order = value;
    }

    [ThreadStatic] static SumOrder? t_order;

    public static string Name => "float32, sums in other orders";
    float Bits => _terms is null ? _only : _terms.Known(_count) ?? _terms.Keep(_count, Order(Terms));
    ReadOnlySpan<Term> Terms => _terms is null ? new Term[] { new(_only, 1) } : CollectionsMarshal.AsSpan(_terms)[.._count];

    public static Reordered Of(double value) => new((float)value);
    public double Value => Bits;
    public double Error => 0;

    Reordered With(params ReadOnlySpan<Term> more)
    {
        var terms = _terms is not null && _terms.Count == _count ? _terms : [.. Terms];
        terms.AddRange(more);
        return new(terms);
    }

    public static Reordered operator +(Reordered a, Reordered b) => b._terms is null ? a.With(new Term(b._only, 1)) : a.With(b.Terms.ToArray());
    public static Reordered operator -(Reordered a, Reordered b) => a + -b;
    public static Reordered operator -(Reordered a) =>
        a._terms is null ? new(-a._only) : new([.. a.Terms.ToArray().Select(t => new Term(-t.A, t.B))]);
    public static Reordered Fma(Reordered a, Reordered b, Reordered c) => c.With(new Term(a.Bits, b.Bits));
    public static Reordered operator *(Reordered a, Reordered b) => new(a.Bits * b.Bits);
    public static Reordered operator /(Reordered a, Reordered b) => new(a.Bits / b.Bits);
    public static Reordered Sqrt(Reordered a) => new(MathF.Sqrt(a.Bits));
    public static Reordered Exp(Reordered a) => new(MathF.Exp(a.Bits));
    public static Reordered Log(Reordered a) => new(MathF.Log(a.Bits));
    public static Reordered Log1p(Reordered a) => new(CanonicalMath.Log1p(a.Bits));
    public static Reordered Tanh(Reordered a) => new(MathF.Tanh(a.Bits));
    public static Reordered Erf(Reordered a) => new(CanonicalMath.Erf(a.Bits));
    public static Reordered Round(NumberFormat format, Reordered a) => new((float)Rounding.To(format, a.Bits));
}
