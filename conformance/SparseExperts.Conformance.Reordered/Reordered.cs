using System.Runtime.InteropServices;
using SparseExperts.Scalar;

namespace SparseExperts.Conformance.Reordered;

/// <summary>A term of a sum: a product that is yet to be rounded, or a number times 1.</summary>
public readonly record struct Term(float A, float B)
{
    public float Rounded => A * B;
}

/// <summary>How a backend adds the terms of a sum.</summary>
public interface ISumOrder
{
    static abstract float Sum(ReadOnlySpan<Term> terms);
}

/// <summary>
/// float32 in which additions wait: a number is the list of its terms until something other than addition uses it, and only then they are added,
/// in the order of <typeparamref name="TOrder"/>. So every sum of every op of <see cref="ScalarBackend{T}"/> is taken in that order.
/// </summary>
public readonly struct Reordered<TOrder> : IReal<Reordered<TOrder>> where TOrder : ISumOrder
{
    // A list may be shared by sums that go on differently; each knows how many of its terms are its own.
    readonly List<Term>? _terms;
    readonly int _count;
    readonly float _only;

    Reordered(float only) => _only = only;
    Reordered(List<Term> terms) => (_terms, _count) = (terms, terms.Count);

    public static string Name => $"float32, sums {typeof(TOrder).Name}";
    float Bits => _terms is null ? _only : TOrder.Sum(Terms);
    ReadOnlySpan<Term> Terms => _terms is null ? new Term[] { new(_only, 1) } : CollectionsMarshal.AsSpan(_terms)[.._count];

    public static Reordered<TOrder> Of(double value) => new((float)value);
    public double Value => Bits;
    public double Error => 0;

    Reordered<TOrder> With(params ReadOnlySpan<Term> more)
    {
        var terms = _terms is not null && _terms.Count == _count ? _terms : [.. Terms];
        terms.AddRange(more);
        return new(terms);
    }

    public static Reordered<TOrder> operator +(Reordered<TOrder> a, Reordered<TOrder> b) => a.With(b.Terms.ToArray());
    public static Reordered<TOrder> operator -(Reordered<TOrder> a, Reordered<TOrder> b) => a + -b;
    public static Reordered<TOrder> operator -(Reordered<TOrder> a) =>
        a._terms is null ? new(-a._only) : new([.. a.Terms.ToArray().Select(t => new Term(-t.A, t.B))]);
    public static Reordered<TOrder> Fma(Reordered<TOrder> a, Reordered<TOrder> b, Reordered<TOrder> c) => c.With(new Term(a.Bits, b.Bits));
    public static Reordered<TOrder> operator *(Reordered<TOrder> a, Reordered<TOrder> b) => new(a.Bits * b.Bits);
    public static Reordered<TOrder> operator /(Reordered<TOrder> a, Reordered<TOrder> b) => new(a.Bits / b.Bits);
    public static Reordered<TOrder> Sqrt(Reordered<TOrder> a) => new(MathF.Sqrt(a.Bits));
    public static Reordered<TOrder> Exp(Reordered<TOrder> a) => new(MathF.Exp(a.Bits));
    public static Reordered<TOrder> Log(Reordered<TOrder> a) => new(MathF.Log(a.Bits));
    public static Reordered<TOrder> Log1p(Reordered<TOrder> a) => new(CanonicalMath.Log1p(a.Bits));
    public static Reordered<TOrder> Tanh(Reordered<TOrder> a) => new(MathF.Tanh(a.Bits));
    public static Reordered<TOrder> Erf(Reordered<TOrder> a) => new(CanonicalMath.Erf(a.Bits));
    public static Reordered<TOrder> Round(NumberFormat format, Reordered<TOrder> a) => new((float)Rounding.To(format, a.Bits));
}
