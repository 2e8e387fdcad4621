using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>The norm of the whole gradient: rows are squared and summed on the backend in one op, joined on the host in double.</summary>
public sealed class GradientNorm
{
    readonly IBackend _backend;
    readonly ParameterStore _parameters;
    readonly (StorageRun Run, Indices Offsets, Matrix Sums)[] _runs;

    /// <summary>The squares of all rows of all parameters, one below the other, so that one read brings them.</summary>
    readonly Matrix _sums;
    readonly float[] _host;

    public GradientNorm(IBackend backend, ParameterStore parameters)
    {
        (_backend, _parameters) = (backend, parameters);
        _sums = parameters.Memory.Rent(parameters.Sum(p => p.Rows), 1);
        _host = new float[_sums.Rows];
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

    public double Compute()
    {
        if (!_parameters.Any(p => p.HasGradient)) return 0;
        foreach (var (run, offsets, sums) in _runs) _backend.RunSquares(run.Of(_parameters.Gradients), offsets, sums);
        _backend.Read(_sums, _host);
        var (sum, row) = (0.0, 0);
        foreach (var parameter in _parameters)
        {
            if (parameter.HasGradient)
                foreach (var square in _host.AsSpan(row, parameter.Rows)) sum += square;
            row += parameter.Rows;
        }
        return Math.Sqrt(sum);
    }

    /// <summary>What clipping multiplies the gradient by: min(1, clip/(norm + 1e-6)) (PyTorch clip_grad_norm_); clip 0 is no clipping.</summary>
    public static double Factor(double norm, double clip) => clip <= 0 ? 1 : Math.Min(1, clip / (norm + 1e-6));
}
