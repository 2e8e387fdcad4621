using System.Buffers.Binary;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// The fields of a message in the wire format of protocol buffers, one after the other: varints, 32 and 64 bits, and runs of bytes, which may be messages.
/// </summary>
ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    ReadOnlySpan<byte> _rest = message;

    /// <summary>Number of the field that was read last.</summary>
    public int Field { get; private set; }

    /// <summary>Its value, where it is no run of bytes.</summary>
    public ulong Value { get; private set; }

    /// <summary>Its bytes; empty where it is a number.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    public readonly float Single => BitConverter.UInt32BitsToSingle((uint)Value);
    public readonly bool Flag => Value != 0;
    public readonly int Number => (int)(uint)Value;

    /// <summary>Reads the next field; false at the end.</summary>
    /// <exception cref="DataException">The message is cut off, or has a kind of field that is not of this format.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty) return false;
        var tag = Varint();
        if (tag >> 3 is 0 or > 0x1FFFFFFF) throw Broken();
        (Field, Value) = ((int)(tag >> 3), 0);
        Bytes = default;
        switch (tag & 7)
        {
            case 0:
                Value = Varint();
                break;
            case 1:
                Value = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                var length = Varint();
                Bytes = length <= (ulong)_rest.Length ? Take((int)length) : throw Broken();
                break;
            case 5:
                Value = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw Broken();
        }
        return true;
    }

    ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }
        throw Broken();
    }

    ReadOnlySpan<byte> Take(int length)
    {
        if (length > _rest.Length) throw Broken();
        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    static DataException Broken() => new("is no whole message of protocol buffers");
}
