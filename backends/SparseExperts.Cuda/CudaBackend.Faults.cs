using System.Numerics;
using System.Runtime.InteropServices;

namespace SparseExperts.Cuda;

/// <summary>
/// Indices are looked at on the device: a kernel before the op keeps the first that breaks the op's rule, and the op takes what names nothing for none.
/// Nobody waits until the fault is asked for. Integers that were looked at by the same rule and not written since are not looked at again.
/// </summary>
public sealed partial class CudaBackend
{
    /// <summary>What find_fault keeps: whether there is one, op, position, value, limit, none, whether they ascend.</summary>
    const int FaultWords = 7;

    /// <summary>Threads of find_fault's only block.</summary>
    const int FewestLookers = 32, MostLookers = 1024;

    readonly List<string> _opsWithIndices = [];
    Storage? _fault;

    /// <summary>Faults that were taken: what was looked at before each of them is looked at again.</summary>
    int _taken;

    void Look(IndexRule rule, Indices indices)
    {
        if (indices.Count == 0 || IsMade(indices)) return;      // what kernels made is right by construction
        if (!((CudaStorage)indices.Storage).Looked(_taken).Add((indices.Offset, indices.Count, rule.Limit, rule.None))) return;
        if (!_opsWithIndices.Contains(rule.Op)) _opsWithIndices.Add(rule.Op);
        var lookers = (int)Math.Clamp(BitOperations.RoundUpToPowerOf2((uint)indices.Count), FewestLookers, MostLookers);
        Launch("find_fault", new(1, 1, 1, lookers),
            [Pointer(Fault()), Pointer(indices), indices.Count, rule.Limit, rule.None ?? 0, rule.None is null, _opsWithIndices.IndexOf(rule.Op)]);
    }

    public IndexFault? TakeFault()
    {
        if (_fault is null) return null;
        var words = new int[FaultWords];
        Driver.CopyToHost(MemoryMarshal.AsBytes(words.AsSpan()), Pointer(Fault()), _stream);
        if (words[0] == 0) return null;
        _taken++;
        Driver.Set(Pointer(Fault()), 0, FaultWords, _stream);
        return new(new(_opsWithIndices[words[1]], words[4], words[6] != 0 ? null : words[5]), words[2], words[3]);
    }

    Indices Fault()
    {
        if (_fault is null)
        {
            _fault = Rent(ElementType.Integer, FaultWords);
            Driver.Set(Pointer(new Indices(_fault, 0, FaultWords)), 0, FaultWords, _stream);
        }
        return new(_fault, 0, FaultWords);
    }
}
