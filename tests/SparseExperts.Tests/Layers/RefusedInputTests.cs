using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Layers;

/// <summary>What a layer of some kind does not read is refused in words where it is given.</summary>
public sealed class RefusedInputTests
{
    [Theory]
    [InlineData("vmoe.soft", "instead", "stages in whose place something could stand")]
    [InlineData("mesh.two_level", "instead", "stages in whose place something could stand")]
    [InlineData("t2t.hierarchical", "instead", "stages in whose place something could stand")]
    [InlineData("dselect_k.per_example", "instead", "stages in whose place something could stand")]
    [InlineData("vmoe.soft", "experts", "experts that read something else than its tokens")]
    [InlineData("mesh.two_level", "experts", "experts that read something else than its tokens")]
    [InlineData("vmoe.soft", "dropout", "dropout of its experts")]
    [InlineData("mesh.two_level", "dropout", "dropout of its experts")]
    public void A_layer_refuses_what_it_does_not_read(string dialect, string given, string what)
    {
        using var tape = new Tape(new ScalarBackend<Float32>());
        var call = new RouterCall { Dialect = BuiltIn.Named(dialect), Groups = 1, Size = 4, Experts = 4, Training = false, Where = "blocks.1" };
        var x = tape.Constant(4, 2, new float[8]);
        var refused = Assert.Throws<RoutingException>(() => SparseLayer.Forward(tape, call, new LayerInputs(x, given == "experts" ? x : null), new(),
            new() { Wi = x, Wo = x }, given == "dropout" ? 0.1 : 0, instead: given == "instead" ? Substitution.None : null));
        Assert.Equal($"blocks.1: the layer of {dialect} ({call.Dialect.LayerKind()}) has no {what}; leave it out", refused.Message);
    }
}
