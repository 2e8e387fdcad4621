namespace SparseExperts.Autograd;

/// <summary>What a tape is busy with when it calls its backend.</summary>
public enum Activity
{
    /// <summary>The model.</summary>
    Forward,

    /// <summary>The model once more, for activations that were given up.</summary>
    Recompute,

    /// <summary>Gradients.</summary>
    Backward,

    /// <summary>Numbers go to the host that plans who goes where, and its plan comes back.</summary>
    Plan,

    /// <summary>Numbers for people, and for the choice whether a step counts: loss, norm, entropies.</summary>
    Report,

    /// <summary>Parameters and the state of routers.</summary>
    Update,
}

/// <summary>Who calls the backend now: op, part of the model and activity. A tape keeps it; a backend that counts reads it.</summary>
public sealed class CallSite
{
    /// <summary>The node's op; empty between ops.</summary>
    public string Op { get; internal set; } = "";

    /// <summary>Part of the model, <c>blocks.1.experts</c>; empty outside of any.</summary>
    public string Path { get; internal set; } = "";

    public Activity Activity { get; internal set; }

    /// <summary>Goes one part deeper until disposal.</summary>
    internal Scope Into(string part)
    {
        var scope = new Scope(this);
        Path = Path.Length == 0 ? part : $"{Path}.{part}";
        return scope;
    }

    /// <summary>Does something else until disposal.</summary>
    internal Scope During(Activity activity)
    {
        var scope = new Scope(this);
        Activity = activity;
        return scope;
    }

    /// <summary>Runs an op until disposal.</summary>
    internal Scope At(Node node, Activity activity)
    {
        var scope = new Scope(this);
        (Op, Path, Activity) = (node.Op, node.Path, activity);
        return scope;
    }

    /// <summary>Puts back what was.</summary>
    internal readonly struct Scope(CallSite site) : IDisposable
    {
        readonly string _op = site.Op, _path = site.Path;
        readonly Activity _activity = site.Activity;

        public void Dispose() => (site.Op, site.Path, site.Activity) = (_op, _path, _activity);
    }
}

/// <summary>A backend that wants to know who calls it. It serves one tape at a time.</summary>
public interface IKnowsCaller
{
    CallSite Site { get; }
}
