using SparseExperts.Conformance.Mutants;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Steps that come again go to the device as graphs: the same launches in the same order, with the numbers of their own step.</summary>
public sealed class RepeatedTests(ITestOutputHelper output)
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * i / 7 % 97))], 32);

    /// <summary>Dropout draws by step, the rate warms up, batches differ: much that changes from step to step.</summary>
    static ModelConfig Model(string dialect) => new()
    {
        Context = 16,
        Width = 16,
        HeadWidth = 8,
        Layers = 2,
        Hidden = 24,
        Experts = 4,
        SparseEvery = 1,
        Dialect = BuiltIn.Named(dialect),
        Dropout = 0.1,
        ExpertDropout = 0.1,
    };

    static readonly TrainingConfig Training = new() { Batch = 2, Steps = 20, WarmUp = 4, Rate = 1e-2 };

    /// <summary>
    /// Every launch of a few steps, in the order in which the device gets them, and the parameters and the optimizer's state that come of them.
    /// </summary>
    static (List<Launched> Launches, float[] Numbers, Recorder Driver) Run(
        string dialect, bool graphs, int steps = 6, Func<ICudaDriver, ICudaDriver>? broken = null, TrainingConfig? training = null)
    {
        ICudaDriver emulator = new EmulatedDriver(CudaFixture.Large);
        var driver = new Recorder(broken?.Invoke(emulator) ?? emulator);
        using var backend = new CudaBackend(driver, graphs: graphs);
        var trainer = new Trainer(backend, Model(dialect), training ?? Training);
        for (var step = 0; step < steps; step++) trainer.Train(Text, step / 10.0, details: step == 3);
        var state = trainer.Model.Parameters.Select(p => p.Value).Concat(trainer.Optimizer.State.Select(s => s.Value));
        return (driver.Launches, [.. state.SelectMany(m => backend.ToArray(m))], driver);
    }

    /// <summary>Of dialects that the device plans, that the host plans, and that draw numbers.</summary>
    [Theory]
    [InlineData("mesh.switch")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("lingvo.top2")]
    [InlineData("mesh.switch_max")]
    [InlineData("zhou.expert_choice")]
    public void Graphs_hold_the_launches_of_the_step_and_give_its_bits(string dialect)
    {
        var (expected, actual) = (Run(dialect, graphs: false), Run(dialect, graphs: true));
        Assert.Equal(expected.Numbers, actual.Numbers);
        Assert.Equal(expected.Launches, actual.Launches);
        Assert.Equal(0, expected.Driver.GraphLaunches);
        output.WriteLine($"{dialect}: {actual.Driver.OfLastStep}");
        Assert.True(actual.Driver.InGraphs > 0.4 * actual.Driver.Launches.Count);
    }

    [Fact]
    public void Adafactor_goes_by_graphs_too()
    {
        var adafactor = Training with { Optimizer = OptimizerKind.Adafactor };
        var (expected, actual) = (Run("mesh.switch", false, training: adafactor), Run("mesh.switch", true, training: adafactor));
        Assert.Equal(expected.Numbers, actual.Numbers);
        Assert.Equal(expected.Launches, actual.Launches);
    }

    /// <summary>A graph that keeps an argument of the step before: a rate, a batch's tables, a stream of random numbers.</summary>
    [Fact]
    public void An_argument_that_stays_as_it_was_is_seen()
    {
        var expected = Run("mesh.switch", graphs: false);
        var changes = Run("mesh.switch", graphs: true).Driver.Changes;
        Assert.True(changes > 0);
        foreach (var stale in (int[])[0, changes / 2, changes - 1])
            Assert.NotEqual(expected.Numbers, Run("mesh.switch", true, broken: inner => new Stale(inner, stale)).Numbers);
    }

    /// <summary>Other shapes are other launches: of a larger batch in the midst of a run, and of the old one again.</summary>
    [Fact]
    public void Shapes_may_change()
    {
        float[] Numbers(bool graphs)
        {
            using IBackend backend = new CudaBackend(new EmulatedDriver(CudaFixture.Large), graphs: graphs);
            Matrix a = backend.Rent(40, 40), b = backend.Rent(40, 40);
            backend.Fill(a, 0.5);
            backend.Fill(b, 0.25);
            foreach (var rows in (int[])[3, 3, 3, 40, 40, 7, 3])
                using (backend.Repeated())
                {
                    for (var op = 0; op < 5; op++) backend.Add(a.RowRange(0, rows), b.RowRange(0, rows), b.RowRange(0, rows));
                    if (rows == 7) backend.Scale(b, 0.5, b, false);
                }
            return backend.ToArray(b);
        }
        Assert.Equal(Numbers(false), Numbers(true));
    }

    /// <summary>What was launched before a fault is not launched again after it.</summary>
    [Fact]
    public void Work_is_given_before_anybody_waits()
    {
        using var backend = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        var a = backend.Rent(2, 2);
        using var scope = backend.Repeated();
        backend.Fill(a, 1);
        using (backend.Repeated()) backend.Scale(a, 3, a, false);
        Assert.Equal([3, 3, 3, 3], backend.ToArray(a));
        backend.Write(a, (float[])[1, 2, 3, 4]);
        backend.Scale(a, 2, a, false);
        backend.Write(a.RowRange(0, 1), (float[])[0, 0]);
        Assert.Equal([0, 0, 6, 8], backend.ToArray(a));
    }

    /// <summary>What is written while launches wait that have to do with the memory: they find in it what was there before.</summary>
    [Fact]
    public void A_write_goes_ahead_of_no_launch_that_reads_or_writes_there()
    {
        var driver = new Recorder(new EmulatedDriver(CudaFixture.Large));
        using var backend = new CudaBackend(driver);
        Matrix a = backend.Rent(2, 2), b = backend.Rent(2, 2), half = backend.Rent(70, 1), rest = backend.Rent(70, 1);
        using (backend.Repeated())
        {
            backend.Write(a, (float[])[1, 2, 3, 4]);
            backend.Scale(a, 2, b, false);
            backend.Fill(half, 7);
            backend.Copy(half, rest);
            Assert.Empty(driver.Launches);
            backend.Write(a, (float[])[5, 6, 7, 8]);            // as a whole: the launch that waits keeps what it was to read
            backend.Scale(a, 10, b, true);
            backend.Write(backend.Rent(2, 2), (float[])[9, 9, 9, 9]);
            Assert.Empty(driver.Launches);
            backend.Write(half.Storage, 60, (float[])[1, 1]);   // in part: the launches go first
            Assert.Equal(4, driver.Launches.Count);
        }
        Assert.Equal([52, 64, 76, 88], backend.ToArray(b));
        Assert.Equal([5, 6, 7, 8], backend.ToArray(a));
        Assert.Equal([7, 7, 1, 1, 7], backend.ToArray(half)[58..63]);
        Assert.Equal([7, 7, 7, 7, 7], backend.ToArray(rest)[58..63]);
    }

    /// <summary>
    /// A launch to compare: arguments by kind and bits, addresses by whether there is one, for what is written ahead of launches that wait may lie elsewhere.
    /// </summary>
    sealed record Launched(string Kernel, LaunchShape Shape, string Arguments);

    /// <summary>Notes what the device gets, those of graphs at each launch of the graph.</summary>
    sealed class Recorder(ICudaDriver inner) : DelegatingDriver(inner)
    {
        readonly Dictionary<CudaFunction, string> _names = [];
        readonly Dictionary<CudaGraph, Launched[]> _graphs = [];

        public List<Launched> Launches { get; } = [];
        public int GraphLaunches { get; private set; }
        public int InGraphs { get; private set; }
        public int Changes { get; private set; }
        public string OfLastStep => $"{Launches.Count} launches, {InGraphs} of them in {GraphLaunches} graphs, {Changes} changes";

        Launched Of(CudaFunction function, LaunchShape shape, ReadOnlySpan<KernelArgument> arguments) =>
            new(_names[function], shape, string.Join(' ', Array.ConvertAll(arguments.ToArray(), Bits)));

        static string Bits(KernelArgument argument) =>
            argument.Kind == ArgumentKind.Pointer ? argument.Bits == 0 ? "null" : "pointer" : $"{argument.Kind} {argument.Bits:x}";

        public override CudaFunction Function(CudaModule module, string name)
        {
            var function = base.Function(module, name);
            _names[function] = name;
            return function;
        }

        public override void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream)
        {
            Launches.Add(Of(function, shape, arguments));
            base.Launch(function, shape, arguments, stream);
        }

        public override CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches)
        {
            var graph = base.CreateGraph(launches);
            _graphs[graph] = [.. launches.ToArray().Select(l => Of(l.Function, l.Shape, l.Arguments))];
            return graph;
        }

        public override void Change(CudaGraph graph, int index, in KernelLaunch launch)
        {
            Changes++;
            _graphs[graph][index] = Of(launch.Function, launch.Shape, launch.Arguments);
            base.Change(graph, index, launch);
        }

        public override void Launch(CudaGraph graph, CudaStream stream)
        {
            GraphLaunches++;
            InGraphs += _graphs[graph].Length;
            Launches.AddRange(_graphs[graph]);
            base.Launch(graph, stream);
        }
    }

    /// <summary>Forgets one change of a graph.</summary>
    sealed class Stale(ICudaDriver inner, int which) : DelegatingDriver(inner)
    {
        int _changes;

        public override void Change(CudaGraph graph, int index, in KernelLaunch launch)
        {
            if (_changes++ != which) base.Change(graph, index, launch);
        }
    }
}
