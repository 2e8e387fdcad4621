namespace SparseExperts.Cuda.Emulator;

/// <summary>Things by handle. A handle that was given back, or never given out, is a fault.</summary>
sealed class Handles<T>(string what) where T : class
{
    readonly List<T?> _things = [];

    public IEnumerable<T> All => _things.OfType<T>();

    public nint Add(T thing)
    {
        _things.Add(thing);
        return _things.Count;
    }

    public T this[nint handle] => handle >= 1 && handle <= _things.Count && _things[(int)handle - 1] is { } thing
        ? thing
        : throw new CudaFault($"{what} {handle} does not exist or was destroyed");

    public void Remove(nint handle)
    {
        _ = this[handle];
        _things[(int)handle - 1] = null;
    }
}
