namespace SparseExperts.Conformance.Cuda;

/// <summary>No scopes: every launch goes to the device at once.</summary>
sealed class OneByOne(IBackend inner) : DelegatingBackend(inner)
{
    sealed class Nothing : IDisposable
    {
        public void Dispose() { }
    }

    public override IDisposable Repeated() => new Nothing();
}
