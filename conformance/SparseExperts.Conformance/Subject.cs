namespace SparseExperts.Conformance;

/// <summary>How a backend joins: a way to make one, and whether it promises the canonical bits.</summary>
public interface IBackendFixture
{
    IBackend Create(int threads);

    /// <summary>True: the canonical bits. False: bit for bit only where the card says so, otherwise within the derived bound.</summary>
    bool Canonical { get; }

    /// <summary>Of the edges of a card, laws other than the definition take two in so many, each law others: more than 1 for a backend that is slow.</summary>
    int EveryEdge => 1;
}

/// <summary>The backend under test, one instance a thread count.</summary>
public sealed class Subject(Func<int, IBackend> create, bool canonical) : IDisposable
{
    readonly Dictionary<int, IBackend> _backends = [];

    public Subject(IBackendFixture fixture) : this(fixture.Create, fixture.Canonical) { }

    public bool Canonical => canonical;
    public IBackend Backend => this[1];

    public IBackend this[int threads] => _backends.TryGetValue(threads, out var backend) ? backend : _backends[threads] = create(threads);

    /// <summary>A second instance, for calls that mix owners.</summary>
    public IBackend Other => this[2];

    public void Dispose()
    {
        foreach (var backend in _backends.Values) backend.Dispose();
    }
}
