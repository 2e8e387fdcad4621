using System.Buffers.Binary;

namespace SparseExperts.Formats;

/// <summary>One number as the little-endian bytes of a safetensors dtype.</summary>
static class NumberBytes
{
    public static int Size(string dtype) => SafetensorsHeader.SizeOrNull(dtype) is { } size && !dtype.StartsWith("F8", StringComparison.Ordinal)
        ? size
        : throw new ArgumentException($"dtype {dtype} is not written; choose F64, F32, F16, BF16, BOOL or an integer of 8 to 64 bits", nameof(dtype));

    /// <summary>Floats are rounded to nearest even; integers must be whole and in range.</summary>
    public static void Write(string dtype, double value, Span<byte> bytes)
    {
        switch (dtype)
        {
            case "F64": BinaryPrimitives.WriteDoubleLittleEndian(bytes, value); break;
            case "F32": BinaryPrimitives.WriteSingleLittleEndian(bytes, (float)value); break;
            case "F16": BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)value); break;
            case "BF16": BinaryPrimitives.WriteUInt16LittleEndian(bytes, BFloat16Bits(value)); break;
            case "I64": BinaryPrimitives.WriteInt64LittleEndian(bytes, checked((long)Whole(value))); break;
            case "I32": BinaryPrimitives.WriteInt32LittleEndian(bytes, checked((int)Whole(value))); break;
            case "I16": BinaryPrimitives.WriteInt16LittleEndian(bytes, checked((short)Whole(value))); break;
            case "U64": BinaryPrimitives.WriteUInt64LittleEndian(bytes, checked((ulong)Whole(value))); break;
            case "U32": BinaryPrimitives.WriteUInt32LittleEndian(bytes, checked((uint)Whole(value))); break;
            case "U16": BinaryPrimitives.WriteUInt16LittleEndian(bytes, checked((ushort)Whole(value))); break;
            case "I8": bytes[0] = (byte)checked((sbyte)Whole(value)); break;
            case "U8" or "BOOL": bytes[0] = checked((byte)Whole(value)); break;
            default: throw new ArgumentException($"dtype {dtype} is not written", nameof(dtype));
        }
    }

    static ushort BFloat16Bits(double value) => (ushort)(BitConverter.SingleToUInt32Bits((float)Rounding.To(NumberFormat.BFloat16, value)) >> 16);

    static double Whole(double value) => value == Math.Floor(value) ? value : throw new ArgumentException($"{value} is no integer; choose a float dtype");
}
