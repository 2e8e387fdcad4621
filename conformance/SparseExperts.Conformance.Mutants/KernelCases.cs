using System.Diagnostics;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Scalar;

namespace SparseExperts.Conformance.Mutants;

/// <summary>A card's case on a device of so many multiprocessors, the definition's numbers, and which kernels take part.</summary>
public sealed class KernelCase(OpCard card, OpCase @case, int multiprocessors)
{
    readonly OpResult _expected = OpRunner.Run(new ScalarBackend<Float32>(), card, @case, new(MayFault: true));

    public OpCard Card => card;
    public int Multiprocessors => multiprocessors;
    public IReadOnlyCollection<string> Kernels { get; private set; } = [];
    public TimeSpan Time { get; private set; }

    /// <summary>Runs the case as it ships, which must give the definition's numbers.</summary>
    public void Watch(CudaBackend backend, EmulatedDriver driver)
    {
        var before = driver.Counters.Launches;
        var clock = Stopwatch.StartNew();
        if (Fault(backend) is { } fault) throw new InvalidOperationException($"{card} {@case}: {fault} without any mutant");
        Time = clock.Elapsed;
        Kernels = [.. driver.Counters.Launches.Where(l => l.Value > before.GetValueOrDefault(l.Key)).Select(l => l.Key)];
    }

    /// <summary>How the suite would see a fault of the backend in this case, or null.</summary>
    public string? Fault(IBackend backend)
    {
        OpResult actual;
        try
        {
            actual = OpRunner.Run(backend, card, @case, new(MayFault: true));
        }
        catch (Exception e) when (e is CudaFault or InvalidDataException)
        {
            return e.Message;
        }
        if (actual.Trespasses.Count > 0) return $"wrote outside of {actual.Trespasses[0]}";
        if (actual.Modified.Count > 0) return $"changed {actual.Modified[0]}";
        if (actual.Fault != _expected.Fault) return $"says '{actual.Fault?.Message}' of its indices, expected '{_expected.Fault?.Message}'";
        foreach (var (name, values) in _expected.Values)
        {
            var at = OpRunner.FirstDifference(values, actual.Values[name]);
            if (at >= 0) return $"{name}[{at}] is {actual.Values[name][at]:R}, expected {values[at]:R}";
        }
        return null;
    }
}

/// <summary>The cards' cases by the kernels that they reach.</summary>
public sealed class KernelCases
{
    static readonly int[] Devices = [1, 132];

    readonly Dictionary<string, List<KernelCase>> _byKernel = [];

    /// <param name="every">Takes one edge in so many.</param>
    /// <param name="kernels">Only those; all where none is named.</param>
    public KernelCases(int every, IReadOnlyCollection<string> kernels)
    {
        foreach (var multiprocessors in Devices)
        {
            using var driver = new EmulatedDriver(Options(multiprocessors));
            using var backend = new CudaBackend(driver);
            foreach (var card in OpCards.All)
            {
                var some = card.Edges.Where((_, i) => (i / 2 + multiprocessors) % every == 0);      // edges come in pairs
                foreach (var @case in some.Concat(card.Large).Concat(Products(card)).Concat(WrongIndices(card)))
                {
                    var watched = new KernelCase(card, @case, multiprocessors);
                    watched.Watch(backend, driver);
                    foreach (var kernel in watched.Kernels.Where(k => kernels.Count == 0 || kernels.Contains(k)))
                        (_byKernel.TryGetValue(kernel, out var known) ? known : _byKernel[kernel] = []).Add(watched);
                }
            }
        }
        foreach (var cases in _byKernel.Values) cases.Sort((a, b) => a.Time.CompareTo(b.Time));
    }

    /// <summary>Products that fill tiles of every size and hang over their edges, with chains that are cut.</summary>
    static IEnumerable<OpCase> Products(OpCard card)
    {
        if (card.Family != "linear algebra") yield break;
        var draw = new Draw(new Random(3));
        yield return draw.Complete(card.Case(draw, new(130, 140, 33)), true, 0);
        yield return draw.Complete(card.Case(draw, new(150, 270, 20)), false, 3);
        yield return draw.Complete(card.Case(draw, new(70, 80, 530)), true, 1);
        yield return draw.Complete(card.Case(draw, new(33, 9, 600)), false, 0);
    }

    /// <summary>Indices out of their range, which find_fault keeps and the ops leave alone.</summary>
    static IEnumerable<OpCase> WrongIndices(OpCard card) =>
        from drawn in card.Large.Append(card.At(new Draw(new Random(4)), new(7, 5, 3)))
        from integers in drawn.Integers
        from wrong in integers.Wrong
        select drawn.With(wrong.Integers);

    /// <summary>Cases that launch the kernel, quick ones first.</summary>
    public IReadOnlyList<KernelCase> Of(string kernel) => _byKernel.GetValueOrDefault(kernel) ?? [];

    /// <summary>
    /// The small device takes few blocks along y. A thread of a right kernel executes far less than is allowed; one that runs for ever is stopped
    /// early.
    /// </summary>
    internal static EmulatorOptions Options(int multiprocessors) => new()
    {
        Multiprocessors = multiprocessors,
        MaxBlocksY = multiprocessors == 1 ? 2 : 65535,
        InstructionsPerThread = 1_000_000,
        MemoryBytes = 1L << 30,
        Workers = 1,
    };
}
