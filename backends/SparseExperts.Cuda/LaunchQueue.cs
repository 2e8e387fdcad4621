namespace SparseExperts.Cuda;

/// <summary>
/// The launches of a stream. In a scope of <see cref="Repeated"/> they are kept until something else is asked of the device, or until a graph is full of
/// them. A run of kernels that stood in the same place of an earlier scope is a graph: what differs from the last time, be it an argument or the number of
/// blocks, is changed in it by comparing all of it, and the graph is launched. Another run of kernels gets a graph of its own, at its second time.
/// </summary>
sealed class LaunchQueue(ICudaDriver driver, CudaStream stream) : IDisposable
{
    /// <summary>
    /// Launches of a graph at most: steps of common models are one graph, and a huge one begins while the host goes on; and at least, for which a graph is
    /// worth its own launch.
    /// </summary>
    public const int MostOfGraph = 1024, LeastOfGraph = 4;

    /// <summary>Runs that are remembered; one more, and all are forgotten.</summary>
    const int MostRuns = 256;

    readonly Dictionary<(int Place, int Length), List<Run>> _runs = [];
    readonly List<KernelLaunch> _waiting = [];
    int _scopes, _place, _remembered;

    /// <summary>Launches as the graph has them, and the graph from the second time on.</summary>
    sealed class Run(KernelLaunch[] launches)
    {
        public readonly KernelLaunch[] Launches = launches;
        public CudaGraph? Graph;
    }

    /// <summary>What is launched until disposal is launched again in later scopes. Scopes nest.</summary>
    public IDisposable Repeated()
    {
        if (_scopes++ == 0) _place = 0;
        return new Scope(this);
    }

    sealed class Scope(LaunchQueue queue) : IDisposable
    {
        public void Dispose()
        {
            queue._scopes--;
            if (queue._scopes == 0) queue.Flush();
        }
    }

    public void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments)
    {
        if (_scopes == 0)
        {
            driver.Launch(function, shape, arguments, stream);
            return;
        }
        _waiting.Add(new(function, shape, arguments.ToArray()));
        if (_waiting.Count == MostOfGraph) Flush();
    }

    /// <summary>
    /// Whether a launch that waits has to do with the memory. Places that stand in tables on the device are counted from addresses which the launch that
    /// reads the table has among its own arguments.
    /// </summary>
    public bool Names(DevicePointer memory, long bytes)
    {
        foreach (var launch in _waiting)
            foreach (var argument in launch.Arguments)
                if (argument.Kind == ArgumentKind.Pointer && argument.Bits - memory.Address < (ulong)bytes) return true;
        return false;
    }

    /// <summary>Gives what waits to the device.</summary>
    public void Flush()
    {
        if (_waiting.Count == 0) return;
        KernelLaunch[] launches = [.. _waiting];
        _waiting.Clear();                                           // also where the device refuses them
        var place = _place++;
        if (launches.Length < LeastOfGraph || Known(place, launches) is not { } run) LaunchEach(launches);
        else driver.Launch(run.Graph is { } graph ? Changed(graph, run, launches) : Made(run, launches), stream);
    }

    void LaunchEach(KernelLaunch[] launches)
    {
        foreach (var launch in launches) driver.Launch(launch.Function, launch.Shape, launch.Arguments, stream);
    }

    /// <summary>The run of the same kernels that stood there before; null where there is none, which then is remembered.</summary>
    Run? Known(int place, KernelLaunch[] launches)
    {
        if (_remembered == MostRuns) Forget();
        if (!_runs.TryGetValue((place, launches.Length), out var there)) _runs[(place, launches.Length)] = there = [];
        foreach (var run in there)
            if (SameKernels(run.Launches, launches)) return run;
        there.Add(new(launches));
        _remembered++;
        return null;
    }

    static bool SameKernels(KernelLaunch[] one, KernelLaunch[] other)
    {
        for (var i = 0; i < one.Length; i++)
            if (one[i].Function != other[i].Function) return false;
        return true;
    }

    CudaGraph Made(Run run, KernelLaunch[] launches)
    {
        launches.CopyTo(run.Launches, 0);
        var graph = driver.CreateGraph(launches);
        run.Graph = graph;
        return graph;
    }

    CudaGraph Changed(CudaGraph graph, Run run, KernelLaunch[] launches)
    {
        for (var i = 0; i < launches.Length; i++)
        {
            if (run.Launches[i].Equals(launches[i])) continue;
            driver.Change(graph, i, launches[i]);
            run.Launches[i] = launches[i];
        }
        return graph;
    }

    void Forget()
    {
        driver.Synchronize(stream);                                 // a graph that runs must not be destroyed
        Dispose();
        _runs.Clear();
        _remembered = 0;
    }

    /// <summary>Destroys the graphs; nothing may run any more.</summary>
    public void Dispose()
    {
        foreach (var runs in _runs.Values)
            foreach (var run in runs)
                if (run.Graph is { } graph) driver.DestroyGraph(graph);
    }
}
