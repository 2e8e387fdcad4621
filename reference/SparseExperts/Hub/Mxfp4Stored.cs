using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>
/// A matrix in MXFP4 (OCP Microscaling Formats 1.0, section 5.3.3): along a row, each 32 numbers share a factor 2^(s − 127), s the byte of
/// <c>…_scales</c>, and each is four bits of <c>…_blocks</c>, sign and e2m1, the lower half of a byte first. Every value is one of bfloat16.
/// </summary>
sealed class Mxfp4Stored : HubStored
{
    const int Block = 32;

    /// <summary>The values of e2m1 without sign.</summary>
    static readonly float[] Values = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];

    readonly SafetensorsFile _blocks, _scales;
    readonly string _scalesName;

    /// <param name="blocks">[…, in/32, 16] of U8.</param>
    /// <param name="scales">[…, in/32] of U8.</param>
    public Mxfp4Stored(SafetensorsFile blocksFile, TensorEntry blocks, SafetensorsFile scalesFile, TensorEntry scales)
        : base(new(blocks.Name, "BF16", [.. blocks.Shape[..^2], blocks.Shape[^2] * Block], blocks.Begin, blocks.End)) =>
        (_blocks, _scales, _scalesName) = (blocksFile, scalesFile, scales.Name);

    /// <summary>Whether two tensors are one matrix in this format.</summary>
    public static bool Fits(TensorEntry blocks, TensorEntry scales) => blocks is { DType: "U8", Shape: [.., _, 16] } && scales.DType == "U8"
        && blocks.Shape.Length >= 3 && blocks.Shape[..^1].SequenceEqual(scales.Shape);

    public override void ReadFloats(long first, Span<float> values)
    {
        if (values.Length == 0) return;
        long end = first + values.Length, firstBlock = first / Block, lastBlock = (end - 1) / Block;
        var bytes = new byte[(lastBlock - firstBlock + 1) * (Block / 2)];
        var scales = new byte[lastBlock - firstBlock + 1];
        _blocks.ReadBytes(Entry.Name, firstBlock * (Block / 2), bytes);
        _scales.ReadBytes(_scalesName, firstBlock, scales);
        for (var i = 0; i < values.Length; i++)
        {
            var at = first + i - firstBlock * Block;
            var bits = bytes[at / 2] >> (int)(at % 2 * 4) & 0xF;
            var value = Values[bits & 7] * (bits > 7 ? -1 : 1);
            values[i] = scales[at / Block] is < 255 and var scale ? MathF.ScaleB(value, scale - 127) : float.NaN;
        }
    }

    public override void ReadBytes(long first, Span<byte> bytes)
    {
        var values = new float[bytes.Length / 2];
        ReadFloats(first, values);
        for (var i = 0; i < values.Length; i++) NumberBytes.Write("BF16", values[i], bytes[(2 * i)..]);
    }
}
