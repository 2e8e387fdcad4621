namespace SparseExperts.Cuda;

/// <summary>
/// Launches wait in one queue, their arguments lie in one place, and memory comes from one pool: two threads in them at once would spoil each other's work
/// without a word. Who comes while another is there is refused; threads may take turns.
/// </summary>
sealed class OneThread(string name)
{
    int _busy;

    /// <exception cref="InvalidOperationException">Another thread is there.</exception>
    public Turn Enter() => Interlocked.Exchange(ref _busy, 1) == 0
        ? new(this)
        : throw new InvalidOperationException($"two threads use one backend '{name}' at the same time; give each thread a backend of its own");

    public readonly ref struct Turn(OneThread of)
    {
        public void Dispose() => Volatile.Write(ref of._busy, 0);
    }
}
