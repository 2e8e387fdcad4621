namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second);
        Elements("adam_w", [parameter, gradient, first, second], (float)step.Factor, (float)step.Decay, (float)(1 - step.Beta1),
            (float)step.Beta2, (float)(1 - step.Beta2), (float)-step.StepSize, (float)step.RootCorrection2, (float)step.Epsilon);
    }
}
