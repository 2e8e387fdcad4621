namespace SparseExperts.Conformance;

/// <summary>How a backend joins: a way to make one, and whether it promises the canonical bits.</summary>
public interface IBackendFixture
{
    IBackend Create(int threads);

    /// <summary>True: the canonical bits. False: bit for bit only where the card says so, otherwise within the derived bound.</summary>
    bool Canonical { get; }

    /// <summary>False where threads mean nothing to the backend: large cases, which are there to be shared among threads, tell it apart from nothing.</summary>
    bool HasThreads => true;

    /// <summary>Of the edges of a card, laws other than the definition take two in so many, each law others: more than 1 for a backend that is slow.</summary>
    int EveryEdge => 1;

    /// <summary>A drawn case is for one card in so many, others each time: more than 1 for a backend that is slow.</summary>
    int EveryCard => 1;
}

/// <summary>The backend under test, one instance a thread count.</summary>
public sealed class Subject(Func<int, IBackend> create, bool canonical) : IDisposable
{
    readonly Dictionary<int, IBackend> _backends = [];
    (OpCase? Case, OpResult? Result) _run, _bounds;

    public Subject(IBackendFixture fixture) : this(fixture.Create, fixture.Canonical) => EveryCard = fixture.EveryCard;

    public bool Canonical => canonical;

    /// <summary><see cref="IBackendFixture.EveryCard"/>.</summary>
    public int EveryCard { get; } = 1;

    public IBackend Backend => this[1];

    public IBackend this[int threads] => _backends.TryGetValue(threads, out var backend) ? backend : _backends[threads] = create(threads);

    /// <summary>A second instance, for calls that mix owners.</summary>
    public IBackend Other => this[2];

    /// <summary>The whole run of a case. It is kept until another case is run: several laws look at one run of an edge.</summary>
    public OpResult Run(OpCard card, OpCase @case)
    {
        if (!ReferenceEquals(_run.Case, @case)) _run = (@case, OpRunner.Run(Backend, card, @case));
        return _run.Result!;
    }

    /// <summary>How far each number of a case may lie from the arbiter's; kept in the same way.</summary>
    public OpResult Bounds(OpCard card, OpCase @case)
    {
        if (!ReferenceEquals(_bounds.Case, @case)) _bounds = (@case, Deviation.Bounds(card, @case, Backend.Info.ProductOperandError));
        return _bounds.Result!;
    }

    public void Dispose()
    {
        foreach (var backend in _backends.Values) backend.Dispose();
    }
}
