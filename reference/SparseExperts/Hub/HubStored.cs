using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>A stored tensor as the table knows it: its numbers in their stored order.</summary>
public abstract class HubStored(TensorEntry entry)
{
    /// <summary>Name, format and shape; where its bytes are is the file's own matter.</summary>
    public TensorEntry Entry { get; } = entry;

    /// <summary>Numbers from number <paramref name="first"/> on, as many as fit.</summary>
    public abstract void ReadFloats(long first, Span<float> values);

    /// <summary>The same as their bits in the format of <see cref="Entry"/>.</summary>
    public abstract void ReadBytes(long first, Span<byte> bytes);

    /// <summary>All numbers.</summary>
    public float[] ReadFloats()
    {
        var values = new float[Entry.Count];
        ReadFloats(0, values);
        return values;
    }
}

/// <summary>A tensor of a file as it stands.</summary>
sealed class PlainStored(SafetensorsFile file, TensorEntry entry) : HubStored(entry)
{
    public override void ReadFloats(long first, Span<float> values) => file.ReadFloats(Entry.Name, first, values);

    public override void ReadBytes(long first, Span<byte> bytes) => file.ReadBytes(Entry.Name, first, bytes);
}
