using SparseExperts.Autograd;

namespace SparseExperts.Layers;

/// <summary>Host arrays of routers, reused from step to step: their lengths hardly change.</summary>
sealed class HostScratch : IStepScratch
{
    readonly Dictionary<int, Stack<double[]>> _free = [];
    readonly List<double[]> _used = [];
    readonly Dictionary<int, double[]> _zeros = [];

    /// <summary>An array of exactly that length until the next reset; its contents are arbitrary.</summary>
    public double[] Numbers(int count)
    {
        var array = _free.TryGetValue(count, out var free) && free.TryPop(out var known) ? known : new double[count];
        _used.Add(array);
        return array;
    }

    /// <summary>Zeros, shared by all who only read.</summary>
    public double[] Zeros(int count) => _zeros.TryGetValue(count, out var zeros) ? zeros : _zeros[count] = new double[count];

    public void Reset()
    {
        foreach (var array in _used)
        {
            if (!_free.TryGetValue(array.Length, out var free)) _free[array.Length] = free = [];
            free.Push(array);
        }
        _used.Clear();
    }
}
