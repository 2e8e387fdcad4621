using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator.Ptx;

/// <summary>Arrays that PTX declares, of the module and of the kernel at hand, and their addresses.</summary>
sealed class PtxVariables(PtxTokens tokens, DeviceMemory memory)
{
    readonly Dictionary<string, ulong> _module = [];
    readonly List<(string Name, int Bytes, int Alignment)> _moduleShared = [];
    readonly Dictionary<string, ulong> _kernel = [];

    public void Begin(PtxKernel kernel)
    {
        _kernel.Clear();
        foreach (var array in _moduleShared) AddShared(kernel, array.Name, array.Bytes, array.Alignment);
    }

    /// <summary>The address of an array in its own space.</summary>
    public bool TryAddress(string name, out ulong address) => _kernel.TryGetValue(name, out address) || _module.TryGetValue(name, out address);

    /// <summary><c>.shared .align 4 .b8 name[1024];</c> in a kernel, or in a module for all its kernels. Without a size it is the launch's.</summary>
    public void Shared(PtxKernel? kernel)
    {
        var (name, size, count, alignment) = Declaration();
        tokens.Expect(";");
        if (kernel is null) _moduleShared.Add((name, size * count, alignment));
        else AddShared(kernel, name, size * count, alignment);
    }

    public void Local(PtxKernel kernel)
    {
        var (name, size, count, alignment) = Declaration();
        tokens.Expect(";");
        var start = PtxKernel.RoundUp(kernel.LocalBytes, alignment);
        _kernel.Add(name, Addresses.LocalStart + (ulong)start);
        kernel.LocalBytes = start + size * count;
    }

    /// <summary><c>.global .align 4 .f32 name[2] = {0f…, 0f…};</c></summary>
    public void Global(bool constant)
    {
        var (name, size, count, _) = Declaration();
        var bytes = new byte[size * count];
        var written = tokens.Take("=");
        if (written) Initial(bytes, size);
        tokens.Expect(";");
        if (count < 0) throw tokens.Error($"array {name} has no size");
        var region = memory.Allocate(bytes.Length, $"{tokens.File}'s {name}");
        memory.Write(region.Address, bytes);
        region.ReadOnly = constant;
        _module.Add(name, region.Address);
    }

    void AddShared(PtxKernel kernel, string name, int bytes, int alignment)
    {
        var array = new SharedArray(name, kernel.Shared.Count, bytes, alignment);
        kernel.Shared.Add(array);
        _kernel.Add(name, Addresses.OfShared(array.Index));
    }

    (string Name, int Size, int Count, int Alignment) Declaration()
    {
        var alignment = 1;
        if (tokens.Take(".align")) alignment = tokens.Integer();
        var type = tokens.Next()[1..];
        var size = PtxTypes.Size(type);
        if (size <= 0) throw tokens.Error($"an array of type {type}");
        var name = tokens.Next();
        var count = 1;
        while (tokens.Take("["))
        {
            if (tokens.Take("]")) { count = -1; break; }
            count = checked(count * tokens.Integer());
            tokens.Expect("]");
        }
        return (name, size, count < 0 ? -1 : count, Math.Max(alignment, size));
    }

    void Initial(byte[] bytes, int size)
    {
        var many = tokens.Take("{");
        var at = 0;
        do
        {
            if (many && tokens.Peek == "}") break;
            var word = tokens.Next();
            if (!PtxTypes.TryNumber(word, out var bits)) throw tokens.Error($"'{word}' as an initial value is not known here");
            for (var i = 0; i < size; i++) bytes[at++] = (byte)(bits >> (8 * i));
        }
        while (many && tokens.Take(","));
        if (many) tokens.Expect("}");
    }
}
