using System.Numerics.Tensors;

namespace SparseExperts.Cpu;

/// <summary>What is one exactly rounded operation an element is left to System.Numerics.Tensors: its bits cannot depend on how it does it.</summary>
unsafe struct AddRow : IRowMap
{
    public readonly void Row(float* a, float* b, float* c, float* to, int count) =>
        TensorPrimitives.Add(new ReadOnlySpan<float>(a, count), new ReadOnlySpan<float>(b, count), new(to, count));
}

unsafe struct MultiplyRow : IRowMap
{
    public readonly void Row(float* a, float* b, float* c, float* to, int count) =>
        TensorPrimitives.Multiply(new ReadOnlySpan<float>(a, count), new ReadOnlySpan<float>(b, count), new(to, count));
}

/// <summary>fma(a, b, old).</summary>
unsafe struct MultiplyAddRow : IRowMap
{
    public readonly void Row(float* a, float* b, float* c, float* to, int count)
    {
        var old = new Span<float>(to, count);
        TensorPrimitives.FusedMultiplyAdd(new ReadOnlySpan<float>(a, count), new ReadOnlySpan<float>(b, count), old, old);
    }
}

unsafe struct ScaleRow(float factor) : IRowMap
{
    readonly float _factor = factor;

    public readonly void Row(float* a, float* b, float* c, float* to, int count) =>
        TensorPrimitives.Multiply(new ReadOnlySpan<float>(a, count), _factor, new(to, count));
}

/// <summary>fma(factor, a, old).</summary>
unsafe struct ScaleAddRow(float factor) : IRowMap
{
    readonly float _factor = factor;

    public readonly void Row(float* a, float* b, float* c, float* to, int count)
    {
        var old = new Span<float>(to, count);
        TensorPrimitives.FusedMultiplyAdd(new ReadOnlySpan<float>(a, count), _factor, old, old);
    }
}
