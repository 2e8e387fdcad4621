namespace SparseExperts.Cuda;

/// <summary>What a kernel parameter is, as PTX declares it.</summary>
public enum ArgumentKind { Pointer, Int32, Int64, Float32 }

/// <summary>A kernel argument with its kind, so that a wrong one is found before the launch.</summary>
public readonly record struct KernelArgument(ArgumentKind Kind, ulong Bits)
{
    public int Size => Kind is ArgumentKind.Pointer or ArgumentKind.Int64 ? 8 : 4;

    public static implicit operator KernelArgument(DevicePointer value) => new(ArgumentKind.Pointer, value.Address);
    public static implicit operator KernelArgument(int value) => new(ArgumentKind.Int32, (uint)value);
    public static implicit operator KernelArgument(bool value) => new(ArgumentKind.Int32, value ? 1u : 0u);
    public static implicit operator KernelArgument(long value) => new(ArgumentKind.Int64, (ulong)value);
    public static implicit operator KernelArgument(ulong value) => new(ArgumentKind.Int64, value);
    public static implicit operator KernelArgument(float value) => new(ArgumentKind.Float32, BitConverter.SingleToUInt32Bits(value));
}
