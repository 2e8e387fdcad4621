using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>The squares of the whole gradient, row by row in one op a run of parameters, where <see cref="IOptimizers.StepFactor"/> finds them.</summary>
public sealed class GradientSquares
{
    readonly IBackend _backend;
    readonly ParameterStore _parameters;
    readonly (StorageRun Run, Indices Offsets, Matrix Sums)[] _runs;

    /// <summary>Those of all rows of all parameters, one below the other.</summary>
    readonly Matrix _sums;

    public GradientSquares(IBackend backend, ParameterStore parameters)
    {
        (_backend, _parameters) = (backend, parameters);
        _sums = parameters.Memory.Rent(parameters.Sum(p => p.Rows), 1);
        var rows = 0;
        _runs = [.. parameters.Runs(_ => true).Select(run =>
        {
            var offsets = Offsets(parameters, run);
            rows += offsets.Length - 1;
            return (run, parameters.Memory.Upload(offsets), _sums.RowRange(rows - offsets.Length + 1, offsets.Length - 1));
        })];
    }

    /// <summary>Where the rows in a run start. What lies behind the last row of a parameter counts to it: zeros, which change no sum.</summary>
    static int[] Offsets(ParameterStore parameters, StorageRun run) =>
    [
        .. from parameter in parameters
           let start = parameter.Place - run.Start
           where start >= 0 && start < run.Length
           from row in Enumerable.Range(0, parameter.Rows)
           select (int)start + row * parameter.Columns,
        run.Length,
    ];

    /// <summary>[rows of all parameters, 1]; 0 where a parameter has no gradient.</summary>
    public Matrix Compute()
    {
        if (_parameters.Any(p => p.HasGradient))
            foreach (var (run, offsets, sums) in _runs) _backend.RunSquares(run.Of(_parameters.Gradients), offsets, sums);
        var row = 0;
        foreach (var parameter in _parameters)
        {
            if (!parameter.HasGradient) _backend.Fill(_sums.RowRange(row, parameter.Rows), 0);
            row += parameter.Rows;
        }
        return _sums;
    }
}
