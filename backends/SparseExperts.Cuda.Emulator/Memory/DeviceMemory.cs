namespace SparseExperts.Cuda.Emulator.Memory;

/// <summary>The device's allocations.</summary>
sealed class DeviceMemory(EmulatorOptions options) : IDisposable
{
    Region?[] _regions = new Region?[16];
    string[] _freed = new string[16];
    int _count;

    public long Total => options.MemoryBytes;
    public long Held { get; private set; }

    public Region Allocate(long bytes, string? name = null)
    {
        if (bytes <= 0) throw new CudaFault($"{bytes} bytes of device memory were asked for; ask for at least one");
        if (Held + bytes > Total)
            throw new CudaFault($"out of device memory: {bytes} bytes were asked for, {Held} of {Total} are held; use smaller sizes");
        if (_count == _regions.Length)
        {
            Array.Resize(ref _regions, 2 * _count);
            Array.Resize(ref _freed, 2 * _count);
        }
        var region = new Region(name ?? $"allocation {_count + 1} of {bytes} bytes", Addresses.OfAllocation(_count), bytes, options.Checks);
        Held += bytes;
        return _regions[_count++] = region;
    }

    public void Free(ulong address)
    {
        var region = Find(address, 0, "free", out var offset);
        if (offset != 0) throw new CudaFault($"free: 0x{address:x} is {offset} bytes into {region.Name}; give back what Allocate returned");
        var index = (int)Addresses.AllocationIndex(address);
        _freed[index] = region.Name;
        _regions[index] = null;
        Held -= region.Length;
        region.Dispose();
    }

    /// <summary>The allocation at an address, or what is wrong with it.</summary>
    public Region? Find(ulong address, out long offset, out string wrong)
    {
        offset = Addresses.AllocationOffset(address);
        var index = Addresses.AllocationIndex(address);
        wrong = "";
        if ((ulong)index < (ulong)_count)
        {
            if (_regions[index] is { } region) return region;
            wrong = $"use after free of {_freed[index]}";
        }
        else
            wrong = address == 0 ? "a null pointer" : $"0x{address:x} is no address of the device's memory";
        return null;
    }

    /// <summary>The allocation that holds a whole range; a fault that begins with <paramref name="what"/> otherwise.</summary>
    public Region Find(ulong address, long bytes, string what, out long offset)
    {
        var region = Find(address, out offset, out var wrong) ?? throw new CudaFault($"{what}: {wrong}");
        return offset + bytes <= region.Length ? region : throw new CudaFault($"{what}: {bytes} bytes at {offset} leave {region.Name}");
    }

    public void Write(ulong to, ReadOnlySpan<byte> from)
    {
        if (from.IsEmpty) return;
        var region = Find(to, from.Length, "copy to device", out var offset);
        from.CopyTo(region.Bytes(offset, from.Length));
        region.MarkWritten(offset, from.Length);
    }

    public void Read(Span<byte> to, ulong from)
    {
        if (to.IsEmpty) return;
        var region = Find(from, to.Length, "copy to host", out var offset);
        if (region.FirstUnwritten(offset, to.Length) is >= 0 and var word) throw new CudaFault($"copy to host: word {word} of {region.Name} was never written");
        region.Bytes(offset, to.Length).CopyTo(to);
    }

    /// <summary>Bytes with the knowledge which of them were written.</summary>
    public unsafe void Copy(ulong to, ulong from, long bytes)
    {
        if (bytes == 0) return;
        var source = Find(from, bytes, "copy on device, from", out var fromOffset);
        var target = Find(to, bytes, "copy on device, to", out var toOffset);
        if (source == target && Math.Abs(fromOffset - toOffset) < bytes) throw new CudaFault($"copy on device: source and target overlap in {source.Name}");
        source.Bytes(fromOffset, bytes).CopyTo(target.Bytes(toOffset, bytes));
        if (source.Written == null) return;
        if (((fromOffset | toOffset | bytes) & 3) != 0) target.MarkWritten(toOffset, bytes);
        else new Span<byte>(source.Written + fromOffset / 4, (int)(bytes / 4)).CopyTo(new Span<byte>(target.Written + toOffset / 4, (int)(bytes / 4)));
    }

    public unsafe void Set(ulong to, uint value, long words)
    {
        if (words == 0) return;
        var region = Find(to, words * 4, "set", out var offset);
        if ((offset & 3) != 0) throw new CudaFault($"set: byte {offset} of {region.Name} is not the start of a word");
        new Span<uint>(region.Data + offset, checked((int)words)).Fill(value);
        region.MarkWritten(offset, words * 4);
    }

    public void Dispose()
    {
        for (var i = 0; i < _count; i++) _regions[i]?.Dispose();
        _count = 0;
    }
}
